"""`djambda manage`: run a management command in the deployed Django.

The command runs in the live version, which is invoked asynchronously; its output comes from the
assets bucket. It survives this process and a lost connection, and never runs twice.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from djambda_cli.aws.runs import parse_run
from djambda_cli.deployment import use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations.interactive_commands import alternative_to
from djambda_cli.operations.live_run import show_live_run
from djambda_cli.options import DEFAULT_FOLDER, Folder, Local


def manage(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="The command and its arguments, as for manage.py."),
    ] = None,
    *,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="Start the command, print the run's id and do not wait."),
    ] = False,
    follow: Annotated[
        str | None, typer.Option(metavar="ID", help="Show the output of an earlier run.")
    ] = None,
    local: Local = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Run a management command in the deployed Django and exit with its exit code.

    Output appears while the command runs. Ctrl-C stops only the output: the command continues.
    Put the options of djambda before the command's name; later ones belong to the command.

    Example: `djambda manage migrate --plan`
    """
    if problem := usage_problem(command or [], follow=follow, detach=detach):
        raise typer.BadParameter(problem)
    deployment = use_deployment(local=local, folder=folder)
    if command:
        alternative = alternative_to(
            command, manage=deployment.command("manage"), open_site=deployment.command("open")
        )
        if alternative:
            raise CliError(
                f"`{command[0]}` was not started: it needs a terminal or local files, which Lambda "
                f"does not have.\n{alternative}"
            )
    verify_target(deployment)
    run = parse_run(follow) if follow else None
    event = {"manage": command} if command else None
    raise typer.Exit(show_live_run(deployment, event, run=run, detach=detach))


def usage_problem(command: Sequence[str], *, follow: str | None, detach: bool) -> str:
    """Return the reason why the arguments cannot be used, "" if they can.

    After the command's name, djambda's own options would be passed to Django.
    """
    if follow and (command or detach):
        return "--follow cannot be combined with a command or --detach."
    if not follow and not (command and command[0]):
        return "Give a command (`help` lists them) or --follow ID."
    misplaced = [argument for argument in command[1:] if argument in {"--local", "--detach"}]
    if misplaced:
        options = " ".join(misplaced)
        return f"Put {options} before the command: djambda manage {options} {command[0]}"
    return ""
