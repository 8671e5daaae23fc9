"""Watch a run of a management command until it ends."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Protocol

from djambda_cli.aws.platform_events import SUCCESS
from djambda_cli.aws.runs import CLOCK_MARGIN, RESULT, STARTED, ManagementRun, RunSnapshot
from djambda_cli.errors import CliError
from djambda_cli.terminal import stderr
from djambda_common.names import ASYNC_START_SECONDS

START_LIMIT = timedelta(seconds=ASYNC_START_SECONDS)

SILENCE_LIMIT = timedelta(seconds=10)
"""After that long without a change, the log shows whether the function is still running."""

PAUSES = (0.2, 2.0)
"""Seconds between two snapshots: the shortest pause, after new output, and the longest."""

ENDINGS = {
    "timeout": "was stopped at the function's timeout (LAMBDA_TIMEOUT, at most 900 s)",
    "Runtime.OutOfMemory": "ran out of memory (LAMBDA_MEMORY)",
}

type ShowOutput = Callable[[str, bytes], None]
"""Shows output of the stream "out" or "err"."""


class RunSource(Protocol):
    """The source of a run's state. `aws.runs.RunFolder` is the real one."""

    def load_snapshot(self, after: str) -> RunSnapshot:
        """Return the current state, with the parts after the one named `after`."""

    def load(self, name: str) -> Any:
        """Return an object's content."""

    def load_ending(self, request: str) -> str | None:
        """Return the status with which the invocation ended, or None."""

    def load_start_failure(self) -> str:
        """Return why Django does not start, or ""."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""


class NextStep(Enum):
    """The next step of the watcher."""

    FINISH = auto()
    CHECK_LOG = auto()
    GIVE_UP = auto()
    WAIT = auto()


def next_step(snapshot: RunSnapshot, deadline: datetime, last_change: datetime) -> NextStep:
    """Return the next step for a snapshot.

    `deadline` is the latest time at which the run can start or, once it has started, end.
    """
    if snapshot.has_result:
        return NextStep.FINISH
    if snapshot.now > deadline + CLOCK_MARGIN:
        return NextStep.GIVE_UP
    if snapshot.now > last_change + SILENCE_LIMIT:
        return NextStep.CHECK_LOG
    return NextStep.WAIT


def watch_run(
    run: ManagementRun, source: RunSource, show: ShowOutput, *, logs: str, request: str = ""
) -> int:
    """Show the command's output until it ends, and return its exit code.

    `logs` is the command line that shows the log. `request` is the invocation's id, if it is known
    before the command has started. Raises `CliError` if the command does not start, or if its
    function ends without a result.
    """
    started: dict[str, Any] = {}
    last_change, deadline = run.sent, run.sent + START_LIMIT
    last_part, pause = "", PAUSES[0]
    failure: CliError | None = None
    while True:
        snapshot = source.load_snapshot(last_part)
        for name in snapshot.parts:
            for stream, text in source.load(name):
                show(stream, text.encode(errors="surrogateescape"))
            last_part, pause = name, PAUSES[0]
        if snapshot.started and not snapshot.has_result:
            started = started or source.load(STARTED)
            request = started["request"]
            deadline = snapshot.started + timedelta(seconds=started["seconds"])
        last_change = max(last_change, snapshot.changed or last_change)
        step = next_step(snapshot, deadline, last_change)
        if step is NextStep.FINISH:
            return _exit_code(source.load(RESULT))
        if failure:
            raise failure
        if step is not NextStep.WAIT:
            ending = source.load_ending(request) if request else None
            if started and ending == SUCCESS:
                # The second delivery of an event finds the run started, and ends successfully.
                ending = None
            if ending or step is NextStep.GIVE_UP:
                failure = CliError(
                    _failure(run, logs, request=request, ending=ending, has_started=bool(started)),
                    output="" if started else source.load_start_failure(),
                )
                continue  # The result may have been stored in the meantime.
            last_change = snapshot.now
        source.wait(pause)
        pause = min(pause * 1.2, PAUSES[-1])


def _exit_code(result: dict[str, Any]) -> int:
    exit_code = int(result["exit_code"])
    if result["complete"]:
        return exit_code
    stderr.print("\n[red]Part of the output could not be stored. The log may contain it.[/red]")
    return exit_code or 1


def _failure(
    run: ManagementRun, logs: str, *, request: str, ending: str | None, has_started: bool
) -> str:
    log = f"Show its log: {logs} --request {request}"
    if has_started:
        reason = ENDINGS.get(ending or "", f"ended without a result ({ending or 'no report'})")
        return f"The command {reason}. The changes that it has made are kept. {log}"
    if ending:
        return f"The command was not started: its function failed ({ending}). {log}"
    return (
        f"Run {run.id} did not start within {ASYNC_START_SECONDS // 60} minutes, so Lambda has "
        "dropped it: no instance of the function was free (LAMBDA_CONCURRENCY) or could start. "
        "If the run is older than a week, its output is deleted. "
        f"Show errors: {logs} --errors"
    )
