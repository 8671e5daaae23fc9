"""The `djambda` command line: each verb reads its options here and calls the module that does it.

Errors that a person can do something about (`CommandError`) become a message and exit code 1.
"""

import errno
import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.markup import escape

from djambda_cli import layer as layer_builder
from djambda_cli.errors import CommandError
from djambda_cli.local_cloud import LocalCloud
from djambda_cli.maintenance import maintenance
from djambda_cli.options import DEFAULT_FOLDER, Folder, console, errors
from djambda_cli.paths import LAYER, ROOT
from djambda_cli.steps import Steps
from djambda_cli.up import up as bring_up

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Django on AWS for about $0 while nobody uses it; and all of it on this machine.",
)


def reports_errors[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """Show a CommandError as a message, and an interruption as one line, without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            return command(*args, **kwargs)
        except CommandError as error:
            if error.output:
                errors.print(f"\n{escape(error.output.rstrip())}", style="dim", soft_wrap=True)
            errors.print(f"\n[red]{escape(str(error))}[/red]", soft_wrap=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            errors.print("\nInterrupted: what this run had started is stopped again.")
            raise typer.Exit(130) from None
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            errors.print("\n[red]No space is left on this disk: free some, then run this again.[/]")
            raise typer.Exit(1) from None

    return wrapped


@app.command()
@reports_errors
def up(
    port: Annotated[
        int | None, typer.Option(help="Its port; 0 is any free one. Default: 4566 if free.")
    ] = None,
    owner: Annotated[
        int | None, typer.Option(help="Stop the cloud when this process ends.", hidden=True)
    ] = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Run the whole stack on this machine: a real deploy, a real Postgres, no AWS account."""
    cloud = LocalCloud(folder)
    site = bring_up(cloud, Steps(console), port=port, owner=owner)
    variables = os.path.relpath(cloud.variables_file, ROOT)
    console.print(
        f"""
  Site      [link={site.url}]{site.url}[/link]
  Admin     {site.url}admin/
  User      {site.username}
  Password  {escape(site.password)}

  Point aws and cdk at it   . {variables}
  A management command      aws lambda invoke --function-name \\
                              $ENVIRONMENT-$APP_NAME-djambda-lambda \\
                              --cli-read-timeout 0 \\
                              --payload '{{"manage": "check"}}' out.json
  Stop it                   make down
""",
        markup=True,
        soft_wrap=True,
    )


@app.command()
@reports_errors
def down(
    wipe: Annotated[bool, typer.Option("--wipe", help="Delete its data and state too.")] = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Stop the local cloud; its data stay unless they are wiped."""
    cloud = LocalCloud(folder)
    was_running = cloud.stop()
    if wipe:
        cloud.wipe()
        console.print("The local cloud is stopped and its data are deleted.")
    elif was_running:
        console.print("The local cloud is stopped. Its data stay: make up brings it back.")
    else:
        console.print("The local cloud is not running.")


@app.command()
@reports_errors
def layer(
    architecture: Annotated[
        str,
        typer.Option(help="x86_64 or arm64.", envvar="LAMBDA_ARCHITECTURE"),
    ] = "x86_64",
) -> None:
    """Build the layer with Django's dependencies for Lambda."""
    if architecture not in layer_builder.PLATFORMS:
        raise CommandError(
            f"Lambda has no architecture {architecture!r}: {' or '.join(layer_builder.PLATFORMS)}."
        )
    with Steps(console).step(f"Layer for {architecture}"):
        built = layer_builder.build(architecture)
    console.print(
        f"""
  {LAYER.relative_to(ROOT)}
  Zipped    {built.zipped / 1e6:.1f} MB, about
  Unzipped  {built.unzipped / 1e6:.1f} MB: with the code {built.share:.0%} of Lambda's 250 MiB"""
    )
    if built.relocked:
        console.print("  Lock      django/requirements.lock is new: commit it")
    if built.share >= layer_builder.LARGE:
        console.print(f"  [yellow]Largest   {built.largest}[/yellow]", soft_wrap=True)


# Verbs
app.command()(reports_errors(maintenance))

if __name__ == "__main__":
    app()
