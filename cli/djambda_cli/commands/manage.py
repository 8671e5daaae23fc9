"""`djambda manage`: run a management command in the deployed Django.

The command runs in the live version, which is invoked asynchronously; its output comes from the
assets bucket. It survives this process and a lost connection, and never runs twice.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from djambda_cli.aws.runs import (
    RunFolder,
    RunUnreachableError,
    encode_payload,
    load_time,
    new_run,
    parse_run,
    start_run,
)
from djambda_cli.deployment import use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations.interactive_commands import alternative_to
from djambda_cli.operations.run_watcher import watch_run
from djambda_cli.options import DEFAULT_FOLDER, Folder, Local
from djambda_cli.terminal import stderr, stdout


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
    Options of djambda precede the command's name; later ones belong to the command.

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
    s3, bucket = deployment.client("s3"), deployment.outputs["BucketName"]
    run = parse_run(follow) if follow else new_run(load_time(s3, bucket))
    run_folder = RunFolder(run, s3, bucket, deployment.client("logs"), deployment.function)
    output = LiveOutput(f"Running in {deployment.function}")
    follow_hint = f"Show its output: {deployment.command(f'manage --follow {run.id}')}"
    try:
        request = ""
        if command:
            payload = encode_payload(command, run)
            request = start_run(deployment.client("lambda"), deployment.function, payload)
        if detach:
            stdout.print(run.id)
            stderr.print(f"Started. {follow_hint}", markup=False, soft_wrap=True)
            return
        with output:
            logs = deployment.command("logs")
            exit_code = watch_run(run, run_folder, output.show, logs=logs, request=request)
    except (KeyboardInterrupt, SystemExit, BrokenPipeError) as stop:
        stderr.print(f"\nThe command continues. {follow_hint}", markup=False, soft_wrap=True)
        if isinstance(stop, BrokenPipeError):
            raise
        raise typer.Exit(143 if isinstance(stop, SystemExit) else 130) from None
    except RunUnreachableError as error:
        raise CliError(
            f"{error}\nThe command continues. {follow_hint}", output=error.output
        ) from None
    raise typer.Exit(exit_code)


class LiveOutput:
    """Shows a spinner until there is output, then the output's exact bytes."""

    def __init__(self, label: str) -> None:
        self._spinner = stderr.status(label)

    def __enter__(self) -> None:
        self._spinner.start()

    def __exit__(self, *_: object) -> None:
        self._spinner.stop()

    def show(self, stream: str, data: bytes) -> None:
        """Write to this process's stream "out" or "err"."""
        self._spinner.stop()
        target = sys.stderr if stream == "err" else sys.stdout
        target.buffer.write(data)
        target.flush()


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
        return f"{options} must precede the command: djambda manage {options} {command[0]}"
    return ""
