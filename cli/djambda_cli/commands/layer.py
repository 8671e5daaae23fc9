"""`djambda layer`: build the Lambda layer with the project's dependencies."""

import os
from typing import Annotated

import typer

from djambda_cli.errors import CliError
from djambda_cli.operations.synthesis import provide_python, verify_project
from djambda_cli.paths import LOCAL, create_state_folder, load_project
from djambda_cli.project.layer import BuiltLayer, build
from djambda_cli.project.requirements import PLATFORMS
from djambda_cli.steps import Steps
from djambda_cli.terminal import stdout


def layer(
    architecture: Annotated[
        str,
        typer.Option(help="x86_64 or arm64.", envvar="LAMBDA_ARCHITECTURE"),
    ] = "x86_64",
) -> None:
    """Build the Lambda layer with the project's dependencies.

    Example: `djambda layer --architecture arm64`
    """
    if architecture not in PLATFORMS:
        raise CliError(
            f"Unknown architecture {architecture!r}. Lambda has {' and '.join(PLATFORMS)}."
        )
    project, steps = load_project(), Steps(stdout)
    verify_project(project)
    create_state_folder()
    provide_python(project, steps, None)
    with steps.step(f"Build layer for {architecture}"):
        built = build(project, architecture, LOCAL)
    stdout.print(summary(built, os.path.relpath(project.layer / "python")), soft_wrap=True)
    if built.lock_change and project.in_checkout:
        stdout.print(f"  Commit {os.path.relpath(project.lock)}.", soft_wrap=True)


def summary(built: BuiltLayer, folder: str) -> str:
    """Return the sizes of a layer, and what to do about it, as lines with rich's markup."""
    sizes = built.sizes
    lines = [
        "",
        f"  {folder}",
        f"  Zipped    about {built.zipped / 1e6:.1f} MB",
        f"  Unzipped  {sizes.unzipped / 1e6:.1f} MB ({sizes.share:.0%} of the limit with the code)",
    ]
    if built.omitted:
        lines.append(f"  Omitted   {', '.join(built.omitted)}")
    if built.sources:
        lines.append(f"  Built     {', '.join(built.sources)} (no wheel)")
    if built.lock_change:
        lines.append(f"  Lock      {built.lock_change}")
    if sizes.are_close_to_the_limit:
        lines.append(f"  [yellow]Largest   {sizes.largest}[/yellow]")
    return "\n".join(lines)
