"""Entries of the functions' logs from CloudWatch: a period, a live stream, or one request.

A request has an id of its own in the log of each function. The other functions' lines have that of
Django as well (`invocationId`), so that each leads to all entries.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore import exceptions
from botocore.exceptions import ClientError

from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.log_entries import (
    ERROR_LEVELS,
    LogEntry,
    LogEvent,
    LogSource,
    is_proxy_error,
    parse_events,
)
from djambda_cli.aws.platform_events import json_fields
from djambda_cli.errors import CliError
from djambda_cli.terminal import stderr

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

MAX_DELAY_MS = 60_000
"""A line that appears later than a newer one by up to this much is still shown."""
PROXY_REQUEST_MS = 30_000
"""Longer than the proxy takes for one request."""

TEMPORARY_ERRORS = (exceptions.ConnectionError, exceptions.HTTPClientError)
"""For example, after a laptop slept or while the local cloud restarts."""

ERROR_PATTERN = "{{ {} }}".format(
    " || ".join(
        f'($.{name} = "{value}")'
        for name, values in {
            "level": sorted(ERROR_LEVELS),
            "record.status": ["error", "failure", "timeout"],
        }.items()
        for value in values
    )
)
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html"""


@dataclass(frozen=True)
class LogFilter:
    """Selects entries: only errors, only those with a text, with Lambda's own lines or without."""

    errors: bool = False
    text: str = ""
    platform: bool = False

    @property
    def pattern(self) -> str:
        """The part of the filter that CloudWatch applies."""
        return ERROR_PATTERN if self.errors else ""

    def matches(self, entry: LogEntry) -> bool:
        """Return whether to show the entry."""
        if self.errors and not entry.is_error:
            return False
        if entry.is_platform and not (self.platform or entry.is_error):
            return False
        return self.text.lower() in entry.raw.lower()


@dataclass(frozen=True)
class Log:
    """One function's log group. `missing` is the error message if it does not exist."""

    client: "CloudWatchLogsClient"
    source: LogSource
    group: str
    missing: str

    def load_events(self, start: int, pattern: str = "", **arguments: Any) -> Iterator[LogEvent]:
        """Yield the events since `start` (ms since 1970).

        `arguments` are those of boto3's filter_log_events. Raises `CliError`, and botocore's
        network errors.
        """
        duplicates: dict[tuple[str, int, str], int] = defaultdict(int)
        request: dict[str, Any] = {
            "logGroupName": self.group,
            "startTime": start,
            "filterPattern": pattern,
        } | arguments
        try:
            for page in self.client.get_paginator("filter_log_events").paginate(**request):
                for event in page["events"]:
                    timestamp, message = event["timestamp"], event["message"]
                    stream = event["logStreamName"]
                    # The local cloud has no event ids, but returns equal events together.
                    duplicates[stream, timestamp, message] += 1
                    number = duplicates[stream, timestamp, message]
                    id_ = event.get("eventId") or f"{stream} {timestamp} {number} {message}"
                    yield LogEvent(id_, self.source, stream, timestamp, message)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                raise CliError(self.missing) from None
            with aws_errors():
                raise


def read_entries(logs: Iterable[Log], start: int, log_filter: LogFilter) -> list[LogEntry]:
    """Return the selected entries since `start` (ms since 1970), by time. Raises `CliError`."""
    with aws_errors():
        events = [event for log in logs for event in log.load_events(start, log_filter.pattern)]
    return [entry for entry in parse_events(events, {}) if log_filter.matches(entry)]


def follow_entries(
    logs: Iterable[Log], start: int, log_filter: LogFilter, *, pause: float
) -> Iterator[list[LogEntry]]:
    """Yield batches of new entries since `start`, some of them empty, every `pause` seconds.

    Continues after a lost connection; ends only with a `CliError`.
    """
    cursors = [LogCursor(log, start, start) for log in logs]
    invocations: dict[str, str] = {}
    is_connected = True
    while True:
        events: list[LogEvent] = []
        with aws_errors():
            try:
                for cursor in cursors:
                    events += cursor.load_new_events(log_filter.pattern)
                is_connected = True
            except TEMPORARY_ERRORS:
                if is_connected:
                    stderr.print("Could not reach CloudWatch Logs. Retrying ...", style="dim")
                is_connected = False
        yield [entry for entry in parse_events(events, invocations) if log_filter.matches(entry)]
        time.sleep(pause)


@dataclass
class LogCursor:
    """The position in a log that is followed from `first` on.

    Lines arrive late and out of order. So each request starts at `start`, some time before the
    newest line, and omits the `seen` events.
    """

    log: Log
    first: int
    start: int
    seen: dict[str, int] = field(default_factory=dict)

    def load_new_events(self, pattern: str) -> list[LogEvent]:
        """Return the events that have appeared since the last call."""
        events = list(self.log.load_events(self.start, pattern))
        new_events = [event for event in events if event.id not in self.seen]
        self.seen |= {event.id: event.timestamp for event in events}
        self.start = max(self.first, max(self.seen.values(), default=0) - MAX_DELAY_MS)
        self.seen = {
            id_: timestamp for id_, timestamp in self.seen.items() if timestamp >= self.start
        }
        return new_events


def load_request(logs: Sequence[Log], request: str, start: int) -> list[LogEntry]:
    """Return all entries of one request in these logs, by time.

    `request` is the id on the visitor's error page, or Lambda's id in either log. Raises
    `CliError` if there are none.
    """
    with aws_errors():
        ids, times = _find_request(logs, request, start)
        entries: list[LogEntry] = []
        for (log, stream), timestamps in times.items():
            margin = PROXY_REQUEST_MS if log.source is LogSource.PROXY else 0
            nearby = parse_events(
                log.load_events(
                    max(0, min(timestamps) - margin),
                    logStreamNames=[stream],
                    endTime=max(timestamps) + margin,
                ),
                {},
            )
            invocations = {entry.invocation for entry in nearby if _contains(entry, ids)} - {""}
            entries += [
                entry
                for entry in nearby
                if entry.invocation in invocations or _contains(entry, ids)
            ]
    if not entries:
        raise CliError(
            f"No log contains the request {request}. New lines take some seconds to appear; old "
            "ones are deleted after LOG_RETENTION_DAYS."
        )
    return sorted(entries, key=lambda entry: (entry.timestamp, entry.source))


def _find_request(
    logs: Sequence[Log], request: str, start: int
) -> tuple[set[str], dict[tuple[Log, str], list[int]]]:
    """Return all ids of a request, and the times at which each log and stream contains one."""
    ids, searched = {request}, set[str]()
    times: dict[tuple[Log, str], list[int]] = defaultdict(list)
    while remaining := sorted(ids - searched):
        searched.add(id_ := remaining[0])
        for log in logs:
            for event in log.load_events(start, f'"{id_}"'):
                if id_ in event.message:
                    times[log, event.stream].append(event.timestamp)
                    ids |= _request_ids(event.message)
    return ids, times


def _request_ids(message: str) -> set[str]:
    """Return both ids of a request from another function's line about it."""
    fields = json_fields(message)
    if not (is_proxy_error(fields) or "invocationId" in fields):
        return set()
    return {str(fields[name]) for name in ("requestId", "invocationId") if fields.get(name)}


def _contains(entry: LogEntry, ids: set[str]) -> bool:
    return any(id_ in entry.raw for id_ in ids)
