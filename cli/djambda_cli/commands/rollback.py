"""`djambda rollback`: make an earlier version live again, without a deploy.

Each deploy with changes publishes a version of the Django function, and the proxy invokes the one
that the alias `live` points to. A rollback moves only the alias, after it has shown the
differences, started the version and asked for confirmation.
"""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from djambda_cli.aws import stacks
from djambda_cli.aws.versions import History, Version, make_live
from djambda_cli.deployment import Deployment, use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations.confirm import confirmation
from djambda_cli.operations.history import require_history
from djambda_cli.operations.migrations import START_SECONDS, load_missing_migrations
from djambda_cli.operations.site import check_site
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr, stdout
from djambda_common.names import BUILD_ID_VARIABLE, SNAPSHOT_VARIABLE

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

LISTED = 10
"""The number of versions that the command lists."""


def rollback(
    version: Annotated[
        int | None,
        typer.Argument(help="The version's number. Default: the one before the live version."),
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make an earlier version of the site live again.

    The database, its migrations and uploads are not changed.

    Example: `djambda rollback 12`
    """
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    client: LambdaClient = deployment.client(
        "lambda", read_timeout=START_SECONDS, retries={"total_max_attempts": 1}
    )
    require_idle_stack(deployment)
    history = require_history(deployment, client)
    live, target = history.live, choose(history, version)
    stderr.print(versions_table(history, target))
    stderr.print()
    if target.is_live:
        stderr.print(f"Version {target.number} is already live.")
        return
    steps = Steps(stderr)
    with steps.step(f"Start version {target.number}") as progress:
        missing = load_missing_migrations(
            client,
            deployment.function,
            live=live.number,
            target=target.number,
            progress=progress,
        )
    print_differences(live, target, missing)
    confirmation(given=yes, option="--yes")(f"Make version {target.number} live?")
    require_idle_stack(deployment)
    with steps.step(f"Make version {target.number} live"):
        move_alias(deployment, client, target, history.revision)
    undo = deployment.command(f"rollback {live.number}")
    check_site(deployment, steps, undo=undo)
    if as_json:
        result = {"from": live.number, "to": target.number, "url": deployment.url}
        stdout.print_json(json.dumps(result | {"migrations_not_undone": missing}))
    else:
        stdout.print(f"Version {target.number} is live: {deployment.url}", soft_wrap=True)
    stderr.print(
        "The next deploy that changes the Django function makes its new version live; other "
        f"deploys keep this one. To undo this rollback: {undo}",
        style="dim",
        soft_wrap=True,
    )


def choose(history: History, number: int | None) -> Version:
    """Return the version with this number, or by default the one before the live version."""
    if number is None:
        older = [one for one in history.versions if one.number < history.live.number]
        if not older:
            raise CliError(
                f"No version to roll back to: {history.live.number} is live, and there is none "
                "before it. Each deploy with changed code publishes one."
            )
        return older[0]
    try:
        return next(one for one in history.versions if one.number == number)
    except StopIteration:
        numbers = ", ".join(str(one.number) for one in history.versions)
        raise CliError(f"There is no version {number}. Published: {numbers}") from None


def differences(live: Version, target: Version) -> list[str]:
    """Return the differences between two versions, one per line; variables without values."""
    lines = [
        f"{name}: {before} -> {after}"
        for name, before, after in (
            ("build", live.build_id, target.build_id),
            ("commit", live.short_commit, target.short_commit),
            ("layer", _layer_names(live.layers), _layer_names(target.layers)),
            ("architecture", live.architecture, target.architecture),
            ("memory", f"{live.memory} MB", f"{target.memory} MB"),
            ("timeout", f"{live.timeout} s", f"{target.timeout} s"),
        )
        if before != after
    ]
    variables = sorted(
        name
        for name in live.environment.keys() | target.environment.keys()
        if name not in {BUILD_ID_VARIABLE, SNAPSHOT_VARIABLE}
        and live.environment.get(name) != target.environment.get(name)
    )
    if variables:
        lines.append(f"variables: {', '.join(variables)}")
    before, after = (one.environment.get(SNAPSHOT_VARIABLE) for one in (live, target))
    if before != after:
        lines.append(
            "env and secret: the values with which this version was deployed"
            if after
            else "env and secret: the current values, which may be newer than this version"
        )
    return lines


def move_alias(
    deployment: Deployment, client: "LambdaClient", target: Version, revision: str
) -> None:
    """Make a version live. Raises `CliError` if the alias has changed since it was shown."""
    if not make_live(client, deployment.function, str(target.number), revision=revision):
        raise CliError(
            "The live version has changed in the meantime, by a deploy or another rollback. "
            f"This rollback changed nothing. Check: {deployment.command('status')}"
        )


def require_idle_stack(deployment: Deployment) -> None:
    """Raise `CliError` during a deploy, which moves the alias too."""
    stack = stacks.describe(deployment.client("cloudformation"), deployment.stack)
    if stack and stacks.is_busy(stack):
        raise CliError(
            f"Nothing was changed: a deploy of {deployment.stack} is in progress "
            f"({stack['StackStatus']}). Wait until it has finished, then try again."
        )


def versions_table(history: History, target: Version) -> Table:
    """Return a table of the newest versions, the live one and the target."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("  Version", "Published", "Build", "Commit", ""):
        # On a narrow terminal, these two wrap.
        table.add_column(name, no_wrap=name not in {"Build", "Commit"}, overflow="fold")
    newest = history.versions[:LISTED]
    for version in [*newest, *(one for one in (history.live, target) if one not in newest)]:
        mark = "[cyan]target[/]" if version == target else ""
        table.add_row(
            f"  {version.number}",
            f"{version.when.astimezone():%Y-%m-%d %H:%M}",
            version.build_id,
            version.short_commit,
            "[green]live[/]" if version.is_live else mark,
        )
    return table


def print_differences(live: Version, target: Version, missing: list[str] | None) -> None:
    """Print the differences between two versions, and what a rollback does not undo."""
    stderr.print(f"\nFrom version {live.number} to {target.number}:")
    for line in differences(live, target) or ["no differences in code and configuration"]:
        stderr.print(f"  {line}", markup=False, soft_wrap=True)
    if missing is None:
        stderr.print(
            "  migrations: unknown, because one of the versions cannot list them", style="yellow"
        )
    elif missing:
        stderr.print(
            f"  migrations that version {target.number} does not have, and that are not undone: "
            f"{', '.join(missing)}",
            style="yellow",
            soft_wrap=True,
        )
    stderr.print(
        "Not undone: migrations, changes in the database, uploads. Static files are kept for each "
        "version.\n",
        style="dim",
        soft_wrap=True,
    )


def _layer_names(layers: tuple[str, ...]) -> str:
    """Return the layers' names and versions, without the rest of their ARNs."""
    return ", ".join(":".join(layer.rsplit(":", 2)[-2:]) for layer in layers) or "none"
