"""Deploy the project: upload the assets, create a change set, confirm it, and execute it.

Of two deploys, the second waits for the first: on one machine for a lock, elsewhere until the stack
is idle. CloudFormation executes a change set only if the stack has not changed since its creation;
a deploy that another one has overtaken in between ends without changing anything.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from djambda_cli.aws import maintenance, stacks, versions
from djambda_cli.aws.cdk import Cdk
from djambda_cli.aws.change_sets import EFFECTS, Change, load_changes, summarize
from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.failures import failure_reason
from djambda_cli.deployment import Deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations.bootstrap import bootstrap_if_needed
from djambda_cli.operations.confirm import Confirm
from djambda_cli.operations.history import require_history
from djambda_cli.operations.outcome import RESUMABLE, Commands, failure_message, stuck_message
from djambda_cli.operations.synthesis import cdk_of, exclusive, temporary_assembly
from djambda_cli.paths import LOCAL
from djambda_cli.project.git import commit_of_checkout
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr
from djambda_common.names import BUILD_ID_VARIABLE

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_lambda import LambdaClient


@dataclass(frozen=True)
class Deployed:
    """A site after a deploy; `changed` is False if there was nothing to deploy.

    `version` is live, `previous` was live before, "" if none was.
    """

    url: str
    version: str
    previous: str
    changed: bool


def roll_out(
    deployment: Deployment,
    steps: Steps,
    *,
    confirm: Confirm,
    confirm_data_loss: Confirm,
    only_live_code: bool = False,
) -> Deployed:
    """Deploy the project. Raises `CliError`.

    `confirm` is asked before the CDK's bootstrap, `confirm_data_loss` before a change that loses
    data. With `only_live_code`, the project must have the code of the live version.
    """
    verify_target(deployment)
    with (
        temporary_assembly(deployment, steps, check=True) as assembly,
        _one_at_a_time(deployment, steps),
    ):
        if only_live_code:
            history = require_history(deployment, deployment.client("lambda"))
            template = json.loads((assembly / f"{deployment.stack}.template.json").read_text())
            require_live_code(template, deployment, history.live)
        bootstrap_if_needed(deployment, steps, confirm)
        rollout = Rollout(deployment, cdk_of(deployment), assembly, steps, confirm_data_loss)
        changed = rollout.run()
    live, newest = _record_commit(deployment)
    if not changed and newest > live:
        stderr.print(
            f"    Version {live} is live since a rollback. Your code is version {newest}. To "
            f"make it live: {deployment.command(f'rollback {newest}')}"
        )
    if changed and deployment.replaced_settings:
        steps.console.print(render_replaced(deployment.replaced_settings), soft_wrap=True)
    return Deployed(deployment.url, str(live), rollout.previous, changed)


def render_replaced(settings: Sequence[str]) -> str:
    """Return the settings that the deployment replaces, with rich's markup."""
    lines = "".join(f"\n      {escape(setting)}" for setting in settings)
    return f"    [dim]Settings of the project that the deployment replaces:{lines}[/dim]"


def require_live_code(
    template: Mapping[str, Any], deployment: Deployment, live: versions.Version
) -> None:
    """Raise `CliError` if a template has other code or packages than the live version."""
    resources = (resource.get("Properties", {}) for resource in template["Resources"].values())
    build_id = next(
        properties["Environment"]["Variables"][BUILD_ID_VARIABLE]
        for properties in resources
        if properties.get("FunctionName") == deployment.function and "Environment" in properties
    )
    if build_id != live.build_id:
        raise CliError(
            f"The site was not changed, because the project's code or packages are not those of "
            f"version {live.number}, which is live (build {live.build_id}, commit "
            f"{live.short_commit}). Check out that commit, or deploy the code that you have: "
            f"{deployment.command('deploy')}"
        )


@contextmanager
def _one_at_a_time(deployment: Deployment, steps: Steps) -> Iterator[None]:
    """Keep other deploys of this stack on this machine waiting."""
    folder = deployment.local.folder if deployment.local else LOCAL
    name = f"{deployment.config.aws_default_region}.{deployment.stack}.lock"
    with exclusive(folder / name, steps, "Wait for another deploy"):
        yield


def _record_commit(deployment: Deployment) -> tuple[int, int]:
    """Record the commit of the newest version; return the live and the newest version."""
    client: LambdaClient = deployment.client("lambda")
    history = require_history(deployment, client)
    newest = history.versions[0]
    try:
        versions.record_commit(client, deployment.function, newest, commit_of_checkout())
    except CliError as error:
        stderr.print(f"    [dim]Could not record the commit: {escape(str(error))}[/dim]")
    return history.live.number, newest.number


@dataclass
class Rollout:
    """One deploy of an assembly; `previous` is the version that was live before its changes."""

    deployment: Deployment
    cdk: Cdk
    assembly: Path
    steps: Steps
    confirm_data_loss: Confirm
    previous: str = ""

    def run(self) -> bool:
        """Deploy, and return whether there was anything to change.

        Raises `CliError` if the deploy fails, is not confirmed, or if another one came first.
        """
        before = self._load_deployable_stack()
        change_set = f"djambda-{secrets.token_hex(8)}"
        changes = self._prepare(before, change_set)
        resumes = before is not None and before["StackStatus"] in RESUMABLE
        try:
            self._confirm(changes, resumes=resumes)
        except BaseException:
            self._delete_change_set(change_set)
            self._restore_protection(before)
            raise
        if not changes:
            self._delete_change_set(change_set)
            if not resumes:
                return False
        if stacks.has_changed(before, self._describe()):
            self._delete_change_set(change_set)
            raise self._overtaken()
        self._execute(before, change_set if changes else None)
        return True

    @property
    def _cloudformation(self) -> "CloudFormationClient":
        client: CloudFormationClient = self.deployment.client("cloudformation")
        return client

    @property
    def _lambda(self) -> "LambdaClient":
        client: LambdaClient = self.deployment.client("lambda")
        return client

    @property
    def _commands(self) -> Commands:
        return Commands(self.deployment.command("deploy"), self.deployment.command("destroy"))

    def _describe(self) -> "StackTypeDef | None":
        return stacks.describe(self._cloudformation, self.deployment.stack)

    def _load_deployable_stack(self) -> "StackTypeDef | None":
        """Return the stack once it is idle. Raises `CliError` if it cannot be deployed to."""
        stack = self._describe()
        if stack and stacks.is_busy(stack):
            with self.steps.step("Wait for another deploy") as progress:
                stack = stacks.wait_until_idle(
                    self._cloudformation, self.deployment.stack, progress
                )
        if stack is None:
            return None
        if problem := stuck_message(stack["StackStatus"], self.deployment.stack, self._commands):
            raise CliError(problem, output=stack.get("StackStatusReason", ""))
        if stack["StackStatus"] == "ROLLBACK_COMPLETE" and stack.get("EnableTerminationProtection"):
            # It has no resources; the CDK deletes it before it creates it again.
            stacks.set_termination_protection(self._cloudformation, stack["StackId"], enabled=False)
        return stack

    def _prepare(self, before: "StackTypeDef | None", change_set: str) -> list[Change]:
        """Upload the assets, create the change set, and return its changes."""
        try:
            with self.steps.step("Upload assets, create change set") as progress:
                self.cdk.prepare(self.assembly, self.deployment.stack, change_set, progress)
        except CliError as error:
            if stacks.has_changed(before, self._describe()):
                raise self._overtaken(error.output) from None
            raise
        changes = load_changes(self._cloudformation, self.deployment.stack, change_set)
        if changes is None:
            raise self._overtaken()
        return changes

    def _confirm(self, changes: Sequence[Change], *, resumes: bool) -> None:
        """Show the changes, and have the loss of data confirmed.

        Raises `CliError` for changes that CloudFormation cannot make yet.
        """
        if not changes:
            return
        self.steps.console.print(f"    [dim]{summarize(changes)}[/dim]", highlight=False)
        dangers = [change for change in changes if change.endangers_data]
        for change in dangers:
            self.steps.console.print(
                f"    [bold red]{EFFECTS[change.kind]}: {change.data}[/bold red] "
                f"[red]({change.type} {escape(change.name)})[/red]",
                highlight=False,
                soft_wrap=True,
            )
        replaced = [change.name for change in changes if change.kind == "replace"]
        if resumes and replaced:
            raise CliError(
                f"The first deploy of {self.deployment.stack} did not finish, and until then "
                f"CloudFormation cannot replace resources: {', '.join(replaced)}. Start over: "
                f"{self._commands.destroy}, then {self._commands.deploy}"
            )
        if dangers:
            self.confirm_data_loss("This deploy loses the data named above. Deploy anyway?")

    def _execute(self, before: "StackTypeDef | None", change_set: str | None) -> None:
        # Otherwise, the site has never been live.
        was_complete = (
            before is not None
            and before["StackStatus"].endswith("_COMPLETE")
            and before["StackStatus"] != "ROLLBACK_COMPLETE"
        )
        proxy, digest = self.deployment.proxy, ""
        if was_complete:
            digest = maintenance.load_digest(self._lambda, proxy)
            self.previous = versions.live_version(self._lambda, self.deployment.function)
        try:
            with self.steps.step("Deploy and release") as progress:
                self.cdk.execute(
                    self.assembly,
                    self.deployment.stack,
                    change_set,
                    progress,
                    # A protected database makes the rollback of a first deploy fail.
                    rollback=was_complete or self.deployment.config.ephemeral,
                )
        except CliError as error:
            raise self._failure(before, change_set, error) from None
        finally:
            if digest and maintenance.load_digest(self._lambda, proxy) != digest:
                maintenance.set_digest(self._lambda, proxy, digest)

    def _failure(
        self, before: "StackTypeDef | None", change_set: str | None, error: CliError
    ) -> CliError:
        """Return the error of a failed execution: the reason, and the state of the site."""
        now = self._describe()
        if now is None or not stacks.has_changed(before, now):
            return CliError("The deploy failed. Nothing was changed.", output=error.output)
        if was_overtaken(before, now, change_set):
            return self._overtaken(error.output)
        if stacks.is_busy(now):
            return CliError(
                "Lost contact with the deploy, which CloudFormation continues. To follow it: "
                f"{self.deployment.command('status')}",
                output=error.output,
            )
        reason = failure_reason(self._cloudformation, self.deployment.client("logs"), now)
        restored = self.previous if self._restore_previous_version() else ""
        message = failure_message(
            now["StackStatus"], self.deployment.stack, self._commands, restored=restored
        )
        return CliError(message, output=reason or error.output)

    def _restore_previous_version(self) -> bool:
        """Make the previous version live again, and return whether it was not.

        After a `djambda rollback`, CloudFormation's own rollback selects another version.
        """
        function = self.deployment.function
        if not self.previous or versions.live_version(self._lambda, function) == self.previous:
            return False
        return versions.make_live(self._lambda, function, self.previous)

    def _restore_protection(self, before: "StackTypeDef | None") -> None:
        """Undo a change of the termination protection, which the CDK makes with a change set."""
        now = self._describe()
        if before is None or now is None:
            return
        was_enabled = bool(before.get("EnableTerminationProtection"))
        if was_enabled != bool(now.get("EnableTerminationProtection")):
            stacks.set_termination_protection(
                self._cloudformation, before["StackId"], enabled=was_enabled
            )

    def _delete_change_set(self, change_set: str) -> None:
        with aws_errors():
            self._cloudformation.delete_change_set(
                StackName=self.deployment.stack, ChangeSetName=change_set
            )

    def _overtaken(self, output: str = "") -> CliError:
        return CliError(
            f"Another deploy of {self.deployment.stack} came first. Nothing was changed. "
            f"Run this again: {self._commands.deploy}",
            output=output,
        )


def was_overtaken(
    before: "StackTypeDef | None", now: "StackTypeDef", change_set: str | None
) -> bool:
    """Return whether the stack has changed because of another change set than this one.

    A stack's description has the id of the last executed change set, which contains its name:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html
    """
    executed = now.get("ChangeSetId", "")
    executed_before = before.get("ChangeSetId", "") if before else ""
    return change_set is not None and executed != executed_before and change_set not in executed
