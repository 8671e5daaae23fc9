"""The `djambda` command line: registers the commands and reports their errors.

An expected error (`CliError`) becomes a message and exit code 1; any other shows its traceback.
"""

import errno
import functools
import os
import signal
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Annotated, Any, override

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from djambda_cli.commands.check import check
from djambda_cli.commands.deploy import deploy
from djambda_cli.commands.destroy import destroy
from djambda_cli.commands.diff import DIFFERENT, diff
from djambda_cli.commands.doctor import doctor
from djambda_cli.commands.down import down
from djambda_cli.commands.env import env
from djambda_cli.commands.init import init
from djambda_cli.commands.layer import layer
from djambda_cli.commands.logs import logs
from djambda_cli.commands.mail import mail
from djambda_cli.commands.maintenance import maintenance
from djambda_cli.commands.manage import manage
from djambda_cli.commands.open import open  # noqa: A004 (a command)
from djambda_cli.commands.rollback import rollback
from djambda_cli.commands.schedules import schedules
from djambda_cli.commands.secret import secret
from djambda_cli.commands.sleep import sleep
from djambda_cli.commands.status import status
from djambda_cli.commands.synth import synth
from djambda_cli.commands.tasks import tasks
from djambda_cli.commands.up import up
from djambda_cli.errors import CliError
from djambda_cli.paths import require_project
from djambda_cli.terminal import stderr


def hide_flag_types(parameters: list[Any]) -> list[Any]:
    """Return the parameters without the type that Typer shows for flags: `<bool>`."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """A command of `djambda`."""

    @override
    def get_params(self, ctx: Any) -> list[Any]:
        return hide_flag_types(super().get_params(ctx))


class CommandGroup(TyperGroup):
    """The group of all commands."""

    @override
    def get_params(self, ctx: Any) -> list[Any]:
        return hide_flag_types(super().get_params(ctx))


HELP = {"help_option_names": ["-h", "--help"]}
BROKEN_PIPE = 128 + signal.SIGPIPE

app = typer.Typer(
    cls=CommandGroup,
    context_settings=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=f"""Exit codes: 0: success; 1: failure, with an error message; 2: usage error;
{DIFFERENT}: `diff --exit-code` found differences; 130 and 143: interrupted; {BROKEN_PIPE}: output
pipe closed. `manage` and `schedules run` exit with the exit code of the management command.""",
)


def show_version(requested: bool) -> None:
    """Print the version and exit, if requested."""
    if requested:
        sys.stdout.write(f"djambda {metadata.version('djambda')}\n")
        raise typer.Exit


@app.callback()
def djambda(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """Run Django on AWS Lambda for about $0 while idle, or the whole stack on this machine."""


def report_errors[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """Make a command show expected errors and interruptions as a message without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            if command is not init:  # It asks which project.
                require_project()
            return command(*args, **kwargs)
        except CliError as error:
            if error.output:
                stderr.print(f"\n{escape(error.output.rstrip())}", style="dim", soft_wrap=True)
            stderr.print(f"\n[red]{escape(str(error))}[/red]", soft_wrap=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            stderr.print("\nInterrupted. Processes started by this command were stopped.")
            raise typer.Exit(130) from None
        except typer.Abort:
            stderr.print("\nNothing was changed.")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            stderr.print("\n[red]The disk is full. Free some space, then run this again.[/]")
            raise typer.Exit(1) from None

    return wrapped


for function in (
    *(init, up, down, check, layer, synth, diff, deploy),
    *(env, secret, manage, schedules, tasks, mail, logs, status, open, rollback, maintenance),
    *(sleep, doctor, destroy),
):
    # Options after the name of a management command belong to Django.
    settings = {"allow_interspersed_args": function is not manage, **HELP}
    summary = (function.__doc__ or "").partition("\n")[0]
    command = app.command(cls=Command, short_help=summary, context_settings=settings)
    command(report_errors(function))

if __name__ == "__main__":
    app()
