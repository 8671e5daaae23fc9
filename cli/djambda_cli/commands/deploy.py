"""`djambda deploy`, `diff` and `synth`: from the checkout to a site that serves it.

A deploy looks first where it would go, builds the layer if it must, synthesizes into a folder of
its own, and has CloudFormation say what would change. Only then something does, and of two deploys
the second waits for the first: on this machine for a lock, elsewhere for CloudFormation, which
executes a change set only if nothing has happened to the stack since it was made.
"""

import fcntl
import json
import os
import re
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import ClientError
from rich.markup import escape

from djambda_cli.aws import maintenance, stacks, versions
from djambda_cli.aws.cdk import Cdk
from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.stacks import HOLDS_DATA, Change
from djambda_cli.deployment import BOOTSTRAP_VERSION, Deployment, use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.local import access
from djambda_cli.operations import site
from djambda_cli.operations.confirm import Confirm as Agree
from djambda_cli.operations.confirm import confirmation
from djambda_cli.operations.history import require_history
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.paths import LOCAL, REQUIREMENTS, ROOT
from djambda_cli.project import layer
from djambda_cli.project.git import commit_of_checkout
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr, stdout
from djambda_common.names import ALIAS

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

from awscdk.layer import problems

PAUSED = {"CREATE_FAILED", "UPDATE_FAILED"}
"""What failed without a rollback: the next deploy goes on from there."""

ATTEMPTS = 5
"""How often a deploy makes a new change set, since another deploy was quicker."""

DIFFERENT = 3
"""The exit code of `diff --exit-code`: 1 and 2 are failures of the command itself."""


@dataclass(frozen=True)
class Deployed:
    """A site after a deploy: `changed` is False if there was nothing to do.

    `before` is the version that served before, "" if none did.
    """

    url: str
    version: str
    before: str
    changed: bool


def deploy(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, even if data are replaced or removed.")
    ] = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Deploy the checkout: layer, infrastructure, code, migrations, static files.

    The version before goes on serving until everything has succeeded, and if anything fails. You
    are asked before anything that holds data is replaced or removed.

    Example: `djambda deploy`
    """
    deployment = use_deployment(local=local, folder=folder)
    steps = Steps(stderr)
    try:
        deployed = roll_out(deployment, steps, confirmation(yes=yes))
    except KeyboardInterrupt:
        stack = stacks.describe(deployment.client("cloudformation"), deployment.stack)
        if stack is None or not stacks.is_busy(stack):
            raise
        stderr.print(
            "\nInterrupted here; but CloudFormation goes on with the deploy. How far it is: "
            f"{deployment.command('status')}"
        )
        raise typer.Exit(130) from None
    if deployment.local:
        access.renew(deployment, deployment.local)
    if deployed.changed:
        back = deployed.before and deployment.command(f"rollback {deployed.before}")
        site.look(deployment, steps, back=back)
    if as_json:
        stdout.print_json(
            json.dumps(
                {"url": deployed.url, "version": deployed.version, "changed": deployed.changed}
            )
        )
        return
    stderr.print("" if deployed.changed else "\n  Nothing has changed since the last deploy.")
    stdout.print(f"  Site      {deployed.url}\n  Version   {deployed.version}", soft_wrap=True)


def diff(
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"Exit with {DIFFERENT} if there is a difference.")
    ] = False,
    local: Local = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Show what a deploy would change in the infrastructure; nothing is changed.

    Example: `djambda diff`
    """
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    steps = Steps(stderr)
    with assembly(deployment, steps) as synthesized, steps.step("Difference to what is deployed"):
        said = _cdk(deployment).diff(
            synthesized, deployment.stack, colour=stdout.is_terminal and not stdout.no_color
        )
    if not said:
        stderr.print(f"\n  {deployment.stack} is deployed {deployment.location} as it is here.")
        return
    sys.stdout.write(f"{said}\n")
    if exit_code:
        raise typer.Exit(DIFFERENT)


def synth(*, local: Local = False, as_json: Json = False, folder: Folder = DEFAULT_FOLDER) -> None:
    """Write the CloudFormation template and what it deploys into cdk.out; nothing is changed.

    Example: `djambda synth --json | jq '.Resources | keys'`
    """
    deployment = use_deployment(local=local, folder=folder)
    output = ROOT / "cdk.out"
    synthesize(deployment, Steps(stderr), output)
    template = output / f"{deployment.stack}.template.json"
    if as_json:
        sys.stdout.write(template.read_text())
    else:
        stdout.print(os.path.relpath(template), soft_wrap=True)


def roll_out(deployment: Deployment, steps: Steps, agree: Agree) -> Deployed:
    """Deploy the checkout, and return what serves then. Raises CliError."""
    verify_target(deployment)
    with assembly(deployment, steps) as synthesized, _turn(deployment, steps):
        _bootstrap_if_needed(deployment, steps, agree)
        run = Run(deployment, _cdk(deployment), synthesized, steps, agree)
        if not any(run.attempt() for _ in range(ATTEMPTS)):
            raise CliError(
                f"Nothing was changed: other deploys of {deployment.stack} came before this one "
                f"{ATTEMPTS} times. Try again when they are through."
            )
    live, newest = _recorded(deployment)
    if not run.changed and newest > live:
        stderr.print(
            f"    Version {live} serves since a rollback. This is version {newest}: "
            f"{deployment.command(f'rollback {newest}')} lets it serve."
        )
    return Deployed(deployment.url, str(live), run.served, run.changed)


def _recorded(deployment: Deployment) -> tuple[int, int]:
    """Record which commit was deployed; the version that serves, and the newest one."""
    client = deployment.client("lambda")
    history = require_history(deployment, client)
    newest = history.versions[0]
    try:
        versions.record_commit(client, deployment.function, newest, commit_of_checkout())
    except CliError as error:
        stderr.print(f"    [dim]The commit was not recorded: {escape(str(error))}[/dim]")
    return history.live.number, newest.number


@contextmanager
def assembly(deployment: Deployment, steps: Steps) -> Iterator[Path]:
    """The checkout, synthesized: a folder of this run's own, that nobody changes meanwhile."""
    with tempfile.TemporaryDirectory(prefix="djambda-cdk.out-") as folder:
        synthesize(deployment, steps, Path(folder))
        yield Path(folder)


def synthesize(deployment: Deployment, steps: Steps, output: Path) -> None:
    """Build the layer if it does not fit, and synthesize into `output`. Raises CliError."""
    architecture = deployment.config.lambda_architecture
    LOCAL.mkdir(exist_ok=True)
    # A deploy for the other architecture would replace the layer that is being read.
    with _lock(LOCAL / "synth.lock", steps, "Wait for another synth here"):
        if not layer_fits(architecture):
            with steps.step("Layer with Django's dependencies"):
                layer.build(architecture)
        with steps.step("Synthesis of the stack") as progress:
            _cdk(deployment).synth(output, progress)


def layer_fits(architecture: str) -> bool:
    """In CI, one that an earlier job has made, by whatever means, is used if synth accepts it."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        return not problems(ROOT / "layers" / "django", REQUIREMENTS, architecture)
    return layer.is_current(architecture)


def _cdk(deployment: Deployment) -> Cdk:
    return Cdk(isolated=deployment.local is not None)


@contextmanager
def _turn(deployment: Deployment, steps: Steps) -> Iterator[None]:
    """Keep other deploys of this stack, from this machine, waiting."""
    folder = deployment.local.folder if deployment.local else LOCAL
    name = f"{deployment.config.aws_default_region}.{deployment.stack}.lock"
    with _lock(folder / name, steps, "Wait for another deploy from here"):
        yield


@contextmanager
def _lock(file: Path, steps: Steps, label: str) -> Iterator[None]:
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with steps.step(label):
                fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _bootstrap_if_needed(deployment: Deployment, steps: Steps, agree: Agree) -> None:
    region = deployment.config.aws_default_region
    with aws_errors():
        if _is_bootstrapped(deployment):
            return
        account = deployment.client("sts").get_caller_identity()["Account"]
    agree(
        f"The CDK has never been used in account {account}, region {region}. It needs a stack of "
        "its own there (CDKToolkit: a bucket and roles, free of charge but for what is in the "
        "bucket). Make it?"
    )
    with steps.step("CDK bootstrap") as progress:
        _cdk(deployment).bootstrap(account, region, progress)


def _is_bootstrapped(deployment: Deployment) -> bool:
    try:
        deployment.client("ssm").get_parameter(Name=BOOTSTRAP_VERSION)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ParameterNotFound":
            return False
        if "AccessDenied" not in code:
            raise
        # Who deploys with the CDK's roles only may not look: the CDK itself will.
    return True


@dataclass
class Run:
    """One deploy of one assembly; `changed` once it has changed something, and `served` then the
    version before, "" if there was none."""

    deployment: Deployment
    cdk: Cdk
    assembly: Path
    steps: Steps
    agree: Agree
    changed: bool = False
    served: str = ""

    def attempt(self) -> bool:
        """Whether it is done: not if another deploy came between.

        Raises CliError if the deploy fails, or somebody does not agree to it.
        """
        before = self._stack_to_deploy_to()
        change_set = f"djambda-{secrets.token_hex(8)}"
        try:
            with self.steps.step("Code to AWS, and a change set") as progress:
                self.cdk.prepare(self.assembly, self.deployment.stack, change_set, progress)
        except CliError as error:
            if self._was_overtaken(before, error):
                return False
            raise
        changes = stacks.load_changes(
            self.deployment.client("cloudformation"), self.deployment.stack, change_set
        )
        if changes is None:
            return False
        unfinished = before is not None and before["StackStatus"] in PAUSED
        try:
            self._agree_to(changes, unfinished=unfinished)
        except BaseException:
            self._forget(change_set)
            self._protect_as(before)
            raise
        if not changes:
            self._forget(change_set)
            if not unfinished:
                return True
        if self._was_overtaken(before):
            self._forget(change_set)
            return False
        return self._execute(before, change_set if changes else None)

    def _stack_to_deploy_to(self) -> "StackTypeDef | None":
        """The stack as it is, once nobody is at work on it and if it can be deployed to."""
        stack = self._describe()
        if stack and stacks.is_busy(stack):
            with self.steps.step("Wait for another deploy") as progress:
                stack = stacks.wait_until_idle(
                    self.deployment.client("cloudformation"), self.deployment.stack, progress
                )
        if stack is None:
            return None
        if problem := _stuck(self.deployment, stack):
            raise CliError(problem, output=stack.get("StackStatusReason", ""))
        if stack["StackStatus"] == "ROLLBACK_COMPLETE" and stack.get("EnableTerminationProtection"):
            # Nothing is left of it but its name, which the CDK deletes.
            with aws_errors():
                self.deployment.client("cloudformation").update_termination_protection(
                    StackName=stack["StackId"], EnableTerminationProtection=False
                )
        return stack

    def _agree_to(self, changes: Sequence[Change], *, unfinished: bool) -> None:
        """Say what changes; ask where data are at stake; refuse what CloudFormation cannot do."""
        if not changes:
            return
        self.steps.console.print(f"    [dim]{summary(changes)}[/dim]", highlight=False)
        data = [change for change in changes if change.of_data]
        for change in data:
            self.steps.console.print(
                f"    [bold red]{_DONE[change.kind]}: {HOLDS_DATA[change.type]}[/bold red] "
                f"[red]({change.type} {escape(change.name)})[/red]",
                highlight=False,
                soft_wrap=True,
            )
        replaced = [change.name for change in changes if change.kind == "replace"]
        if unfinished and replaced:
            raise CliError(
                f"The first deploy of {self.deployment.stack} is not finished, and until then "
                f"CloudFormation cannot replace anything: {', '.join(replaced)}. Start again: "
                f"{self.deployment.command('destroy')}, then {self.deployment.command('deploy')}"
            )
        if data:
            self.agree("The data that are named above would be gone. Deploy all the same?")

    def _execute(self, before: "StackTypeDef | None", change_set: str | None) -> bool:
        # Otherwise it is a first deploy, or one that goes on where the first has failed.
        complete = (
            before is not None
            and before["StackStatus"].endswith("_COMPLETE")
            and before["StackStatus"] != "ROLLBACK_COMPLETE"
        )
        closed_with = (
            maintenance.load_digest(self.deployment.client("lambda"), self.deployment.proxy)
            if complete
            else ""
        )
        self.served = (
            versions.live_version(self.deployment.client("lambda"), self.deployment.function)
            if complete
            else ""
        )
        try:
            with self.steps.step("Deploy, release of Django") as progress:
                self.cdk.execute(
                    self.assembly,
                    self.deployment.stack,
                    change_set,
                    progress,
                    # A first deploy could not be undone anyway: the database is protected.
                    rollback=complete or self.deployment.config.ephemeral,
                )
        except CliError as error:
            if self._was_overtaken(before, error):
                return False
            raise self._failure(before, error) from None
        finally:
            if (
                closed_with
                and maintenance.load_digest(self.deployment.client("lambda"), self.deployment.proxy)
                != closed_with
            ):
                maintenance.set_digest(
                    self.deployment.client("lambda"), self.deployment.proxy, closed_with
                )
        self.changed = True
        return True

    def _describe(self) -> "StackTypeDef | None":
        return stacks.describe(self.deployment.client("cloudformation"), self.deployment.stack)

    def _was_overtaken(self, before: "StackTypeDef | None", error: CliError | None = None) -> bool:
        """Whether another deploy has begun since, and CloudFormation refused this one for that."""
        if error and not REFUSED.search(error.output):
            return False
        return self._has_moved_on(before, self._describe())

    def _has_moved_on(self, before: "StackTypeDef | None", now: "StackTypeDef | None") -> bool:
        if now is None or now["StackStatus"] == stacks.UNDER_REVIEW:
            return False
        if before is None or stacks.is_busy(now):
            return True
        return any(
            now.get(key) != before.get(key) for key in ("StackId", "LastUpdatedTime", "StackStatus")
        )

    def _failure(self, before: "StackTypeDef | None", error: CliError) -> CliError:
        """What to say: the words of what failed, and what is the case now."""
        stack = self._describe()
        if stack is None or not self._has_moved_on(before, stack):
            return CliError("The deploy failed before anything was changed.", output=error.output)
        reason = (
            stacks.failure_reason(
                self.deployment.client("cloudformation"), self.deployment.client("logs"), stack
            )
            or error.output
        )
        status = stack["StackStatus"]
        moved_back = self.served and self._let_serve_again(self.served)
        again = self.deployment.command("deploy")
        if problem := _stuck(self.deployment, stack):
            said = problem
        elif moved_back:
            said = (
                f"The deploy failed late, and is undone: version {self.served} serves again. Mend "
                f"what is above, then: {again}"
            )
        elif status in PAUSED:
            said = (
                "The deploy failed, and what it has made so far stays. Mend what is above, then go "
                f"on from there: {again}. Or remove all of it: {self.deployment.command('destroy')}"
            )
        elif status == "ROLLBACK_COMPLETE":
            said = (
                "The first deploy failed, and what it had made is removed again. Mend what is "
                f"above, then: {again}"
            )
        else:
            said = (
                "The deploy failed, and is undone: the version before has been serving all the "
                f"time, and still is. Mend what is above, then: {again}"
            )
        return CliError(said, output=reason)

    def _let_serve_again(self, version: str) -> bool:
        """Point the alias to what served before the deploy, if it points elsewhere; whether.

        CloudFormation goes back to the version that it knows of, not to that of a rollback.
        """
        if (
            versions.live_version(self.deployment.client("lambda"), self.deployment.function)
            == version
        ):
            return False
        with aws_errors():
            self.deployment.client("lambda").update_alias(
                FunctionName=self.deployment.function, Name=ALIAS, FunctionVersion=version
            )
        return True

    def _protect_as(self, before: "StackTypeDef | None") -> None:
        """Undo what the CDK does together with a change set, before anybody has agreed to it."""
        now = self._describe()
        if before is None or now is None:
            return
        was, is_ = (bool(each.get("EnableTerminationProtection")) for each in (before, now))
        if is_ != was:
            with aws_errors():
                self.deployment.client("cloudformation").update_termination_protection(
                    StackName=before["StackId"], EnableTerminationProtection=was
                )

    def _forget(self, change_set: str) -> None:
        with aws_errors():
            self.deployment.client("cloudformation").delete_change_set(
                StackName=self.deployment.stack, ChangeSetName=change_set
            )


REFUSED = re.compile(
    r"ChangeSetNotFound|ChangeSet \S+ (does not exist|is in \w+ status|cannot be executed)"
    r"|_IN_PROGRESS state"
)
"""What CloudFormation says to a deploy that another one has come before."""

_DONE = {
    "add": "added",
    "change": "changed",
    "replace": "replaced",
    "risk": "perhaps replaced",
    "remove": "removed",
    "leave": "taken out of the stack",
}


def summary(changes: Sequence[Change]) -> str:
    """For example "2 added, 5 changed": what stays as it is does not count."""
    count = Counter(change.kind for change in changes if change.kind != "leave" or change.of_data)
    return ", ".join(f"{count[kind]} {done}" for kind, done in _DONE.items() if count[kind])


def _stuck(deployment: Deployment, stack: "StackTypeDef") -> str | None:
    """Why nothing can be deployed to this stack, and the way out; None if it can."""
    destroy, again = deployment.command("destroy"), deployment.command("deploy")
    match stack["StackStatus"]:
        case "ROLLBACK_FAILED":
            return (
                f"The first deploy of {deployment.stack} failed, and CloudFormation could not "
                "remove all that it had made: the database protects itself. It has never served "
                f"a page. Start again: {destroy}, which asks for the stack's name and keeps a "
                f"snapshot of the database, then {again}"
            )
        case "DELETE_FAILED":
            return (
                f"The deletion of {deployment.stack} came to a stop half way. Finish it: "
                f"{destroy}. Then: {again}"
            )
        case "UPDATE_ROLLBACK_FAILED":
            return (
                f"The last deploy of {deployment.stack} failed, and CloudFormation could not undo "
                "all of it. The version before it is still serving. Remove the cause that is named "
                "above, then: aws cloudformation continue-update-rollback --stack-name "
                f"{deployment.stack}. Then: {again}"
            )
    return None
