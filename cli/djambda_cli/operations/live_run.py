"""Start a command in the live version and show its output until it ends.

The command continues if this process ends, and never runs twice.
"""

import sys
from collections.abc import Mapping
from typing import Any

import typer

from djambda_cli.aws.runs import (
    ManagementRun,
    RunFolder,
    RunUnreachableError,
    encode_payload,
    load_time,
    new_run,
    start_run,
)
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_cli.operations.run_watcher import watch_run
from djambda_cli.terminal import stderr, stdout


def show_live_run(
    deployment: Deployment,
    event: Mapping[str, Any] | None,
    *,
    run: ManagementRun | None = None,
    detach: bool = False,
) -> int:
    """Start `event`, if there is one, or follow a `run`, and return the command's exit code.

    With `detach`, print the run's id and return 0 at once. Raises `CliError`, and `typer.Exit` if
    this process is interrupted.
    """
    s3, bucket = deployment.client("s3"), deployment.outputs["BucketName"]
    run = run or new_run(load_time(s3, bucket))
    folder = RunFolder(run, s3, bucket, deployment.client("logs"), deployment.function)
    follow_hint = f"Show its output: {deployment.command(f'manage --follow {run.id}')}"
    try:
        request = ""
        if event is not None:
            payload = encode_payload(event, run)
            request = start_run(deployment.client("lambda"), deployment.function, payload)
        if detach:
            stdout.print(run.id)
            stderr.print(f"Started. {follow_hint}", markup=False, soft_wrap=True)
            return 0
        with LiveOutput(f"Running in {deployment.function}") as output:
            logs = deployment.command("logs")
            return watch_run(run, folder, output.show, logs=logs, request=request)
    except (KeyboardInterrupt, SystemExit, BrokenPipeError) as stop:
        stderr.print(f"\nThe command continues. {follow_hint}", markup=False, soft_wrap=True)
        if isinstance(stop, BrokenPipeError):
            raise
        raise typer.Exit(143 if isinstance(stop, SystemExit) else 130) from None
    except RunUnreachableError as error:
        raise CliError(
            f"{error}\nThe command continues. {follow_hint}", output=error.output
        ) from None


class LiveOutput:
    """Shows a spinner until there is output, then the output's exact bytes."""

    def __init__(self, label: str) -> None:
        self._spinner = stderr.status(label)

    def __enter__(self) -> "LiveOutput":
        self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._spinner.stop()

    def show(self, stream: str, data: bytes) -> None:
        """Write to this process's stream "out" or "err"."""
        self._spinner.stop()
        target = sys.stderr if stream == "err" else sys.stdout
        target.buffer.write(data)
        target.flush()
