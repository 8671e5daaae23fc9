"""`djambda diff`: show the changes that a deploy would make."""

import sys
from typing import Annotated

import typer

from djambda_cli.deployment import use_deployment, verify_target
from djambda_cli.operations.synthesis import cdk_of, temporary_assembly
from djambda_cli.options import DEFAULT_FOLDER, Folder, Local
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr, stdout

DIFFERENT = 3
"""The exit code of `diff --exit-code`: 1 and 2 are failures of the command itself."""


def diff(
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"Exit with {DIFFERENT} if there are differences.")
    ] = False,
    local: Local = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Show the infrastructure changes that a deploy would make, without making them.

    Example: `djambda diff`
    """
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    steps = Steps(stderr)
    color = stdout.is_terminal and not stdout.no_color
    with temporary_assembly(deployment, steps) as assembly, steps.step("Compare with the stack"):
        differences = cdk_of(deployment).diff(assembly, deployment.stack, color=color)
    if not differences:
        stderr.print(f"\n  No differences: {deployment.stack} is up to date {deployment.location}.")
        return
    sys.stdout.write(f"{differences}\n")
    if exit_code:
        raise typer.Exit(DIFFERENT)
