"""Run a schedule's management command from an event of EventBridge Scheduler.

The event is `{"schedule": "clearsessions", "manage": "clearsessions", "time": "..."}`. The object
`schedules/<name>.json` in the assets bucket has the last run, and prevents two things: a run while
the previous one is still working, and a second run for the same time, because Lambda and Scheduler
may deliver an event twice. The bucket serves as the lock so that the database can sleep.

`djambda schedules run` sends the event with a `run` instead of a `time`: see `recorded_run`.
"""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import ClientError

from djambda.captured_output import Sink
from djambda.management_command import (
    LOGGED_CHARACTERS,
    Transcript,
    execute,
    parse_arguments,
    parse_run,
)
from djambda.recorded_run import run_recorded
from djambda_common.names import SCHEDULES_PREFIX
from djambda_common.stored_object import MISSING, find_object

SHOWN_BYTES = 10_000
"""The beginning and the end of a failed command's output that its error contains, each."""

CONFLICT_PAUSE = 0.2

CHANGED = {"PreconditionFailed", "ConditionalRequestConflict"}
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""

type Run = dict[str, Any]


class BadScheduleEvent(ValueError):  # noqa: N818 (Lambda shows the name as errorType)
    """The event names no schedule or no command; the message has an example."""


class ScheduledCommandFailed(Exception):  # noqa: N818 (Lambda shows the name as errorType)
    """The message has the schedule, the command, its exit code and its output."""


def run_schedule(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Run the command unless the last run prevents it; return `{"schedule": name, ...}`.

    The result has the `exit_code` 0, or the reason as `skipped`. Raises `ScheduledCommandFailed` if
    the exit code is not 0, so that the invocation counts as an error.
    """
    name, scheduled = event["schedule"], event.get("time")
    if not (isinstance(name, str) and name) or "manage" not in event:
        raise BadScheduleEvent(
            'schedule: expected a name and a command, such as {"schedule": "clearsessions", '
            '"manage": "clearsessions"}'
        )
    arguments = parse_arguments(event["manage"])
    with closing(boto3.client("s3")) as s3:
        last = LastRun(s3, os.environ["AWS_STORAGE_BUCKET_NAME"], name)
        if "run" in event:
            command = partial(_run_for_person, last, context, arguments)
            return {"schedule": name, **run_recorded(parse_run(event["run"]), context, command)}
        transcript = Transcript(SHOWN_BYTES)
        code = _run_once(
            last,
            context,
            scheduled,
            lambda: execute(arguments, transcript, merged=True, logged=LOGGED_CHARACTERS),
        )
    if isinstance(code, str):
        return {"schedule": name, "skipped": code}
    if code:
        omitted = f"\n[... {transcript.omitted} bytes omitted ...]" if transcript.omitted else ""
        raise ScheduledCommandFailed(
            f"Schedule {name}: `{shlex.join(arguments)}` failed with exit code {code}:\n"
            f"{transcript.text}{omitted}"
        )
    return {"schedule": name, "exit_code": 0}


def _run_for_person(last: "LastRun", context: Any, arguments: list[str], sink: Sink) -> int:
    code = _run_once(
        last,
        context,
        None,
        lambda: execute(arguments, sink, merged=False, logged=LOGGED_CHARACTERS),
    )
    if isinstance(code, int):
        return code
    sink.write("err", f"Not started: {code}.\n".encode())
    return 1


def _run_once(
    last: "LastRun", context: Any, scheduled: str | None, command: Callable[[], int]
) -> int | str:
    """Return the command's exit code, or the reason why it was not started, which is logged."""
    seconds = context.get_remaining_time_in_millis() / 1000
    begin = datetime.now(UTC)
    reason = last.begin(
        {
            "id": uuid4().hex,  # Both deliveries of an event have the same request ID.
            "time": scheduled,
            "request": context.aws_request_id,
            "version": context.function_version,
            "started_at": begin.isoformat(timespec="seconds"),
            "expires_at": (begin + timedelta(seconds=seconds)).isoformat(timespec="seconds"),
        }
    )
    if reason:
        _log(last.name, f"skipped, because {reason}")
        return reason
    _log(last.name, f"started for {scheduled}" if scheduled else "started by a person")
    code = command()
    end = datetime.now(UTC)
    _log(last.name, f"exit code {code} after {(end - begin).total_seconds():.1f} s")
    last.end({"finished_at": end.isoformat(timespec="seconds"), "exit_code": code})
    return code


def _log(name: str, text: str) -> None:
    """Write to Lambda's log, whatever the project's LOGGING does with records."""
    sys.stdout.write(f"Schedule {name}: {text}\n")
    sys.stdout.flush()


class LastRun:
    """The object with a schedule's last run.

    Only one of several concurrent runs can begin, because S3 replaces an object only if it is still
    the one that was read.
    """

    def __init__(self, s3: Any, bucket: str, name: str) -> None:
        self.name = name
        self._s3 = s3
        self._object = {"Bucket": bucket, "Key": f"{SCHEDULES_PREFIX}{name}.json"}
        self._run: Run = {}
        self._etag = ""

    def begin(self, run: Run) -> str:
        """Store a run that begins; return "", or why it must not begin.

        Raises botocore's errors if the bucket cannot be used.
        """
        while True:
            last, etag = self._load()
            if last.get("id") == run["id"]:  # boto3 has repeated a request that was successful.
                self._run, self._etag = last, etag
                return ""
            if reason := why_not(run, last):
                return reason
            # The last time for which Scheduler has started a run.
            stored = {**run, "time": run["time"] or last.get("time")}
            if self._store(stored, {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}):
                return ""
            time.sleep(CONFLICT_PAUSE)

    def end(self, result: Run) -> None:
        """Store the end of the run, unless it has expired and another one has begun."""
        stored = self._store({**self._run, **result}, {"IfMatch": self._etag})
        if not stored and self._load()[0].get("id") != self._run["id"]:
            _log(self.name, "ended after its time; another run has begun since")

    def _load(self) -> tuple[Run, str]:
        found = find_object(self._s3, self._object["Bucket"], self._object["Key"])
        if found is None:
            return {}, ""
        run: Run = json.loads(found["Body"].read())
        return run, found["ETag"]

    def _store(self, run: Run, condition: dict[str, str]) -> bool:
        """Store the run; return False if the condition is not met."""
        try:
            response = self._s3.put_object(
                **self._object,
                Body=json.dumps(run).encode(),
                ContentType="application/json",
                **condition,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in CHANGED | MISSING:
                return False
            raise
        self._run, self._etag = run, response["ETag"]
        return True


def why_not(run: Run, last: Run) -> str:
    """Return why a run must not begin after the last one, or ""."""
    scheduled, done = run["time"], last.get("time")
    if scheduled and done and _moment(scheduled) <= _moment(done):
        return f"its run for {done} has begun already"
    is_working = last and not last.get("finished_at")
    if is_working and _moment(run["started_at"]) < _moment(last["expires_at"]):
        return f"its run of {last['started_at']} is still working (request {last['request']})"
    return ""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
