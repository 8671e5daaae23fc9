"""The `djambda` command line: the list of its verbs, each a function in a module of its own.

Errors that a person can do something about (`CliError`) become a message and exit code 1.
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

from djambda_cli.commands.deploy import DIFFERENT, deploy, diff, synth
from djambda_cli.commands.destroy import destroy
from djambda_cli.commands.doctor import doctor
from djambda_cli.commands.logs import logs
from djambda_cli.commands.maintenance import maintenance
from djambda_cli.commands.manage import manage
from djambda_cli.commands.rollback import rollback
from djambda_cli.commands.status import open, status  # noqa: A004 (a verb)
from djambda_cli.commands.up import down, up
from djambda_cli.errors import CliError
from djambda_cli.project.layer import layer
from djambda_cli.terminal import stderr


def flags_without_type(parameters: list[Any]) -> list[Any]:
    """Have the help show no type beside an option that takes no value; Typer says `<bool>`."""
    for each in parameters:
        if getattr(each, "is_flag", False):
            each.metavar = ""
    return parameters


class Verb(TyperCommand):
    """One of the verbs."""

    @override
    def get_params(self, ctx: Any) -> list[Any]:
        return flags_without_type(super().get_params(ctx))


class Verbs(TyperGroup):
    """All of them."""

    @override
    def get_params(self, ctx: Any) -> list[Any]:
        return flags_without_type(super().get_params(ctx))


HELP = {"help_option_names": ["-h", "--help"]}
READER_GONE = 128 + signal.SIGPIPE

app = typer.Typer(
    cls=Verbs,
    context_settings=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=f"""Exit codes: 0, it is done; 1, it is not, and the error says what to do; 2, the words
are wrong; {DIFFERENT}, `diff --exit-code` found a difference; 130 and 143, interrupted;
{READER_GONE}, nobody reads the output any more. `manage` has those of the management command.""",
)


def show_version(wanted: bool) -> None:
    """Print the version and end, if that was asked for."""
    if wanted:
        sys.stdout.write(f"djambda {metadata.version('djambda')}\n")
        raise typer.Exit


@app.callback()
def whole(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """Django on AWS for about $0 while nobody uses it; and all of it on this machine."""


def reports_errors[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """Show a CliError as a message, and an interruption as one line, without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            return command(*args, **kwargs)
        except CliError as error:
            if error.output:
                stderr.print(f"\n{escape(error.output.rstrip())}", style="dim", soft_wrap=True)
            stderr.print(f"\n[red]{escape(str(error))}[/red]", soft_wrap=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            stderr.print("\nInterrupted: what this run had started is stopped again.")
            raise typer.Exit(130) from None
        except typer.Abort:
            stderr.print("\nNothing was changed.")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(READER_GONE) from None
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            stderr.print("\n[red]No space is left on this disk: free some, then run this again.[/]")
            raise typer.Exit(1) from None

    return wrapped


for verb in (
    *(up, down, layer, synth, diff, deploy),
    *(manage, logs, status, open, rollback, maintenance, doctor, destroy),
):
    # After the name of a management command, options are Django's.
    settings = {"allow_interspersed_args": verb is not manage, **HELP}
    summary = (verb.__doc__ or "").partition("\n")[0]
    app.command(cls=Verb, short_help=summary, context_settings=settings)(reports_errors(verb))

if __name__ == "__main__":
    app()
