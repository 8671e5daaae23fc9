"""Set, unset, import and export the project's variables and secrets. Values are never arguments."""

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from getpass import getpass
from pathlib import Path

from djambda_cli.aws import variables
from djambda_cli.deployment import Deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations.rollout import roll_out
from djambda_cli.operations.site import check_site
from djambda_cli.project import dotenv_file
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr, stdout
from djambda_common.variables import ENV, SECRET, is_reserved, looks_secret, problem_of

STANDARD_STREAM = "-"
"""The name of a file that stands for the standard input or output."""


class Action(StrEnum):
    """The action on the variables."""

    LIST = "list"
    SET = "set"
    UNSET = "unset"
    IMPORT = "import"
    EXPORT = "export"


TARGETS = {
    Action.LIST: "",
    Action.SET: "the name of a variable",
    Action.UNSET: "the name of a variable",
    Action.IMPORT: "a .env file, or - for the standard input",
    Action.EXPORT: "a new file, or - for the standard output",
}


def require_target(
    kind: str, action: Action, target: str, rest: list[str] | None, *, now: bool
) -> None:
    """Raise `CliError` if an action's argument is missing, or if it takes none.

    The message does not contain `rest`, the arguments after it, which may be a value.
    """
    if rest and action is Action.SET:
        raise CliError(
            "Nothing was changed: a value must not be an argument, because other users of this "
            f"machine can see it, and shells record it. To enter it: djambda {kind} set {target}"
        )
    if rest:
        raise CliError(f"{action} takes no more arguments.")
    if now and action in {Action.LIST, Action.EXPORT}:
        raise CliError(f"`{action}` changes nothing that --now could deploy.")
    expected = TARGETS[action]
    if target and not expected:
        raise CliError(f"{action} takes no name.")
    if not target and expected and not (action is Action.EXPORT and kind == ENV):
        raise CliError(f"djambda {kind} {action} takes {expected}.")


def change(deployment: Deployment, kind: str, action: Action, target: str, *, now: bool) -> None:
    """Set, unset or import, and with `now` deploy a version that has the new values.

    Raises `CliError` if a name or value is not possible, or if the deploy fails.
    """
    verify_target(deployment)
    match action:
        case Action.UNSET:
            _unset(deployment, kind, target)
        case Action.IMPORT:
            _import(deployment, kind, target)
        case _:
            _set(deployment, kind, target)
    if now:
        _apply(deployment)
        return
    stderr.print(f"The next deploy applies it: {deployment.command('deploy')}", highlight=False)


def export(deployment: Deployment, kind: str, target: str) -> None:
    """Write the variables of a kind as a `.env` file that only its owner can read.

    Raises `CliError` if the file exists: it may be the only copy of its values.
    """
    verify_target(deployment)
    values = variables.load(deployment.client("ssm"), deployment.config.secrets_path, kind)
    text = dotenv_file.render(values)
    if target in {"", STANDARD_STREAM}:
        sys.stdout.write(text)
        return
    try:
        file = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise CliError(f"Could not create {target}: {error.strerror}.") from None
    with os.fdopen(file, "w", encoding="utf-8", newline="") as stream:
        stream.write(text)
    stdout.print(f"{target}: {len(values)}", markup=False, soft_wrap=True)


def read_value(name: str) -> str:
    """Return a value from the terminal, without echo, or from the standard input.

    The line break after a single line is not part of the value.
    """
    if sys.stdin.isatty():
        return getpass(f"{name}: ")
    try:
        value = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise CliError(f"Could not set {name}: the standard input is not UTF-8.") from None
    return value.removesuffix("\n").removesuffix("\r") if value.count("\n") == 1 else value


def sort_out(
    values: Mapping[str, str], kind: str, existing: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return the kind of each variable to import, and the reserved names, which are skipped.

    Among variables, those that are a secret already, or look like one, become secrets. Raises
    `CliError` with every name and value that is not possible.
    """
    kinds = {
        name: SECRET if kind == SECRET else existing.get(name) or _guessed_kind(name, value)
        for name, value in values.items()
        if not is_reserved(name)
    }
    problems = [problem for name in kinds if (problem := problem_of(name, values[name]))]
    if problems:
        raise CliError("\n".join([*problems, "Nothing was imported."]))
    return kinds, [name for name in values if name not in kinds]


def _guessed_kind(name: str, value: str) -> str:
    return SECRET if looks_secret(name, value) else ENV


def _apply(deployment: Deployment) -> None:
    """Deploy the live version's code with the current variables."""

    def refuse(question: str) -> None:
        command = deployment.command("deploy")
        raise CliError(
            f"{question} Only a deploy can confirm this: {command}. The site was not changed."
        )

    steps = Steps(stderr)
    deployed = roll_out(
        deployment, steps, confirm=refuse, confirm_data_loss=refuse, only_live_code=True
    )
    if deployed.changed:
        undo = deployed.previous and deployment.command(f"rollback {deployed.previous}")
        check_site(deployment, steps, undo=undo)
        stderr.print(f"Version {deployed.version} is live with these values.", highlight=False)
    else:
        stderr.print("No changes since the last deploy.")


def _set(deployment: Deployment, kind: str, name: str) -> None:
    if problem := problem_of(name):  # Before a person enters the value.
        raise CliError(f"{problem}. Nothing was changed.")
    value = read_value(name)
    if problem := problem_of(name, value):
        raise CliError(f"{problem}. Nothing was changed.")
    path = deployment.config.secrets_path
    variables.store(deployment.client("ssm"), path, kind, name, value)
    stderr.print(f"{name} is set.", highlight=False)


def _unset(deployment: Deployment, kind: str, name: str) -> None:
    path = deployment.config.secrets_path
    if not variables.delete(deployment.client("ssm"), path, kind, name):
        raise CliError(
            f"{name} is not set. To list what is set: {deployment.command(f'{kind} list')}"
        )
    stderr.print(f"{name} is unset.", highlight=False)


def _import(deployment: Deployment, kind: str, source: str) -> None:
    path = deployment.config.secrets_path
    # SSM allows a few changes a second.
    client = deployment.client("ssm", retries={"mode": "adaptive", "max_attempts": 10})
    values = dotenv_file.parse(_read_file(source))
    existing = {
        name: each for each in (ENV, SECRET) for name in variables.names(client, path, each)
    }
    kinds, skipped = sort_out(values, kind, existing)
    for name in sorted(kinds):
        variables.store(client, path, kinds[name], name, values[name])
        label = "secret" if kinds[name] == SECRET else "variable"
        stderr.print(f"{name}: {label}", markup=False, highlight=False)
    for name in skipped:
        stderr.print(
            f"{name}: skipped, because Lambda, libpq, Python or the deployment sets it",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _read_file(source: str) -> str:
    try:
        content = (
            sys.stdin.buffer.read() if source == STANDARD_STREAM else Path(source).read_bytes()
        )
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CliError(f"Could not import {source}: it is not UTF-8.") from None
    except OSError as error:
        raise CliError(f"Could not read {source}: {error.strerror}.") from None
