"""Ctrl-C during an operation of CloudFormation, which does not stop the operation."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from djambda_cli.aws import stacks
from djambda_cli.deployment import Deployment
from djambda_cli.terminal import stderr

INTERRUPTED = 130


@contextmanager
def report_continuation(deployment: Deployment, operation: str) -> Iterator[None]:
    """When the block is interrupted, say so if CloudFormation continues the `operation`."""
    try:
        yield
    except KeyboardInterrupt:
        stack = stacks.describe(deployment.client("cloudformation"), deployment.stack)
        if stack is None or not stacks.is_busy(stack):
            raise
        stderr.print(
            f"\nInterrupted, but CloudFormation continues {operation}. To follow it: "
            f"{deployment.command('status')}",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
