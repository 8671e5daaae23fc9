"""`djambda rollback`: the site is served by an earlier version again, at once, without a deploy.

Each deploy publishes a version of the Django function, and the front door calls whichever the alias
`live` points to. A rollback moves that pointer and nothing else: it shows first what differs, has
the other version show that it starts, and asks.
"""

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import ClientError
from rich.table import Table

from djambda_cli.aws import stacks
from djambda_cli.aws.errors import NOT_READY, aws_errors
from djambda_cli.aws.versions import History, Version
from djambda_cli.deployment import Deployment, use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations import site
from djambda_cli.operations.confirm import confirmation
from djambda_cli.operations.history import require_history
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.steps import Progress, Steps
from djambda_cli.terminal import stderr, stdout
from djambda_common.names import ALIAS

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

SHOWN = 10
START_SECONDS = 300
"""A version that nobody called for weeks has to get its network back first, which takes minutes."""
PAUSE = 2.0

PRINT_MIGRATIONS = """
from django.db.migrations.loader import MigrationLoader
loader = MigrationLoader(None, load=False)
loader.load_disk()
print(*map(".".join, loader.disk_migrations))
"""
COMMAND = ["shell", "--no-imports", "-c", PRINT_MIGRATIONS]
"""Prints the migrations in the code, without a look into the database, which may be asleep."""


def rollback(
    version: Annotated[
        int | None, typer.Argument(help="Its number. Default: the one before the live one.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Let an earlier version serve the site again.

    The database, its migrations and uploads stay as they are.

    Example: `djambda rollback 12`
    """
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    client: LambdaClient = deployment.client(
        "lambda", read_timeout=START_SECONDS, retries={"total_max_attempts": 1}
    )
    _refuse_while_deploying(deployment)
    past = require_history(deployment, client)
    target = chosen(past, version)
    _show(past, target)
    if target.is_live:
        stderr.print(f"Version {target.number} serves already.")
        return
    steps = Steps(stderr)
    with steps.step(f"Version {target.number} starts") as progress:
        known = migrations_of(deployment, client, target, progress)
        lost = _lost(deployment, client, past.live, known, progress)
    _tell(past.live, target, lost)
    confirmation(yes=yes)(f"Let version {target.number} serve?")
    _refuse_while_deploying(deployment)
    with steps.step(f"Version {target.number} serves"):
        move(deployment, client, target, past.revision)
    back = deployment.command(f"rollback {past.live.number}")
    site.check_site(deployment, steps, undo=back)
    if as_json:
        done = {"from": past.live.number, "to": target.number, "url": deployment.url}
        stdout.print_json(json.dumps(done | {"migrations_not_undone": lost}))
    else:
        stdout.print(f"Version {target.number} serves {deployment.url}", soft_wrap=True)
    stderr.print(
        "The next deploy that changes anything in Django serves its new version again; one that "
        f"changes nothing leaves it so. Back: {back}",
        style="dim",
        soft_wrap=True,
    )


def chosen(past: History, number: int | None) -> Version:
    """The version to go to. Raises CliError if there is none."""
    if number is None:
        older = [each for each in past.versions if each.number < past.live.number]
        if not older:
            raise CliError(
                f"Version {past.live.number} serves, and there is none before it. Each deploy of "
                "changed code makes one."
            )
        return older[0]
    try:
        return next(each for each in past.versions if each.number == number)
    except StopIteration:
        numbers = ", ".join(str(each.number) for each in past.versions)
        raise CliError(f"There is no version {number}. There are: {numbers}") from None


def migrations_of(
    deployment: Deployment, client: "LambdaClient", version: Version, progress: Progress
) -> set[str] | None:
    """The migrations in a version's code, None if it cannot tell. Shows that the version starts.

    Raises CliError if it does not.

    A version that was not used for weeks is inactive: the first invocation fails and wakes it.
    https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        with aws_errors():
            try:
                answer = client.invoke(
                    FunctionName=deployment.function,
                    Qualifier=str(version.number),
                    Payload=json.dumps({"manage": COMMAND}),
                )
                break
            except ClientError as error:
                if error.response["Error"]["Code"] not in NOT_READY or time.monotonic() > deadline:
                    raise
                progress("Lambda gets it ready")
        time.sleep(PAUSE)
    payload = json.loads(answer["Payload"].read())
    if "FunctionError" not in answer:
        return set(payload["output"].split())
    said = str(payload.get("errorMessage", ""))
    if said.startswith("`shell "):
        return None  # Django runs; the command is what failed.
    raise CliError(
        f"Version {version.number} does not start: see above. Nothing was changed.", output=said
    )


def _lost(
    deployment: Deployment,
    client: "LambdaClient",
    live: Version,
    known: set[str] | None,
    progress: Progress,
) -> list[str] | None:
    """The migrations of the live version that are not `known`; None if that cannot be told."""
    try:
        applied = migrations_of(deployment, client, live, progress)
    except CliError:  # It does not start: that is why one goes back.
        return None
    return None if known is None or applied is None else sorted(applied - known)


def differences(live: Version, target: Version) -> list[str]:
    """What else is not the same, a line each. Values of variables are not told."""
    found = [
        f"{name}: {before} becomes {after}"
        for name, before, after in (
            ("code", live.build_id, target.build_id),
            ("commit", live.short_commit, target.short_commit),
            ("layer", _short(live.layers), _short(target.layers)),
            ("architecture", live.architecture, target.architecture),
            ("memory", f"{live.memory} MB", f"{target.memory} MB"),
            ("time limit", f"{live.timeout} s", f"{target.timeout} s"),
        )
        if before != after
    ]
    names = sorted(
        name
        for name in live.environment.keys() | target.environment.keys()
        if name != "RELEASE" and live.environment.get(name) != target.environment.get(name)
    )
    return found + ([f"variables: {', '.join(names)}"] if names else [])


def move(deployment: Deployment, client: "LambdaClient", target: Version, revision: str) -> None:
    """Point the alias to the version if nobody has moved it meanwhile. Raises CliError."""
    with aws_errors():
        try:
            client.update_alias(
                FunctionName=deployment.function,
                Name=ALIAS,
                FunctionVersion=str(target.number),
                RevisionId=revision,
            )
        except client.exceptions.PreconditionFailedException:
            raise CliError(
                "Somebody else has changed what serves meanwhile. Nothing was changed here. Look: "
                f"{deployment.command('status')}"
            ) from None


def _refuse_while_deploying(deployment: Deployment) -> None:
    stack = stacks.describe(deployment.client("cloudformation"), deployment.stack)
    if stack and stacks.is_busy(stack):
        raise CliError(
            f"Nothing was changed: {deployment.stack} is busy ({stack['StackStatus']}). Wait until "
            "that operation has finished, then try again."
        )


def _show(past: History, target: Version) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("  Version", "Published", "Release", "Commit", ""):
        # On a narrow terminal the two names break, and the rest stays whole.
        table.add_column(name, no_wrap=name not in {"Release", "Commit"}, overflow="fold")
    last = past.versions[:SHOWN]
    for each in [*last, *(one for one in (past.live, target) if one not in last)]:
        mark = "[green]live[/]" if each.is_live else "[cyan]to this[/]" if each == target else ""
        at = each.when.astimezone()
        table.add_row(
            f"  {each.number}", f"{at:%Y-%m-%d %H:%M}", each.build_id, each.short_commit, mark
        )
    stderr.print(table)
    stderr.print()


def _tell(live: Version, target: Version, lost: list[str] | None) -> None:
    """What will be different, and what will not."""
    stderr.print(f"\nFrom version {live.number} to {target.number}:")
    for line in differences(live, target) or ["nothing that Lambda knows of is different"]:
        stderr.print(f"  {line}", markup=False, soft_wrap=True)
    if lost is None:
        stderr.print("  migrations: one of the two cannot tell which it has", style="yellow")
    elif lost:
        stderr.print(
            f"  migrations that version {target.number} does not know, and that are not undone: "
            f"{', '.join(lost)}",
            style="yellow",
            soft_wrap=True,
        )
    stderr.print(
        "Not undone: migrations, what is in the database, uploads. Static files are kept for each "
        "version.\n",
        style="dim",
        soft_wrap=True,
    )


def _short(layers: tuple[str, ...]) -> str:
    return ", ".join(":".join(layer.rsplit(":", 2)[-2:]) for layer in layers) or "none"
