"""The events of a Lambda log, parsed into entries.

Loggers and the runtime write JSON, a management command prints plain text, and Lambda adds lines
about each invocation (`platform_events.py`).
"""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from djambda_cli.aws.platform_events import PlatformEvent, json_fields, parse_platform_event
from djambda_common.names import START_FAILURES

ERROR_LEVELS = frozenset({"ERROR", "CRITICAL", "FATAL"})

STOPPED = re.compile(
    r"(?:\S+Z )?(?:RequestId: )?(?P<id>[0-9a-f-]{36}) (?P<reason>Task timed out .*|Error: .*)"
)
TRACEBACK = "Traceback (most recent call last):"
CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
STANDARD_FIELDS = frozenset(
    {"timestamp", "level", "message", "logger", "requestId", "location"}
    | {"stackTrace", "errorType", "errorMessage"}
)
"""The fields of Lambda's JSON formatter. A program adds the others."""


class LogSource(StrEnum):
    """The function that wrote a log. Only some deployments have the last two."""

    DJANGO = "django"
    PROXY = "proxy"
    EGRESS = "egress"
    FAILED_TASKS = "failed-tasks"


@dataclass(frozen=True)
class LogEvent:
    """One event of CloudWatch; `timestamp` in milliseconds."""

    id: str
    source: LogSource
    stream: str
    timestamp: int
    message: str


@dataclass(frozen=True)
class LogEntry:
    """One log record or printed line; `raw` is the complete text.

    `invocation` is Lambda's request id. `details` are the lines below the message, such as a
    traceback. `is_platform` marks Lambda's own lines about an invocation.
    """

    timestamp: int
    source: LogSource
    message: str
    raw: str
    level: str = ""
    logger: str = ""
    details: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    invocation: str = ""
    is_platform: bool = False

    @property
    def is_error(self) -> bool:
        """Return whether its level is an error."""
        return self.level in ERROR_LEVELS

    @property
    def time(self) -> datetime:
        """The time in UTC."""
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)

    def as_json(self) -> dict[str, Any]:
        """Return the entry for scripts."""
        return {
            "timestamp": self.time.isoformat(timespec="milliseconds"),
            "function": self.source.value,
            "invocation": self.invocation or None,
            "level": self.level or None,
            "logger": self.logger or None,
            "message": self.message,
            "raw": self.raw,
        }


def parse_events(events: Iterable[LogEvent], invocations: dict[str, str]) -> list[LogEntry]:
    """Return the entries of the events, by time. A printed traceback is one entry.

    `invocations` maps each stream to its current invocation and is updated.
    """
    streams: dict[tuple[LogSource, str], list[LogEvent]] = defaultdict(list)
    for event in events:
        streams[event.source, event.stream].append(event)
    entries = []
    for (source, stream), stream_events in streams.items():
        lines = [event.message.rstrip() for event in stream_events]
        parsed: list[LogEntry] = []
        position = 0
        while position < len(lines):
            begin, position = position, _entry_end(lines, position)
            message = "\n".join(lines[begin:position])
            if not message:
                continue
            platform_event = parse_platform_event(message)
            if platform_event and platform_event.kind == "start":
                invocations[stream] = platform_event.invocation
            fields = _platform_fields(platform_event) if platform_event else _fields(message)
            if not fields.get("invocation"):
                fields["invocation"] = invocations.get(stream, "")
            timestamp = stream_events[begin].timestamp
            parsed.append(LogEntry(timestamp, source, raw=message, **fields))
        entries += _with_invocations(parsed)
    return sorted(entries, key=lambda entry: entry.timestamp)


def _with_invocations(entries: list[LogEntry]) -> list[LogEntry]:
    """Assign errors of a function's start, which have no id, to the invocation that started it."""
    assigned: list[LogEntry] = []
    invocation = ""
    for entry in reversed(entries):
        if entry.is_platform and entry.invocation:
            invocation = entry.invocation
        is_from_start = entry.is_error and not entry.invocation
        assigned.append(replace(entry, invocation=invocation) if is_from_start else entry)
    return assigned[::-1]


def is_proxy_error(fields: dict[str, Any]) -> bool:
    """Return whether these are the fields of the proxy's line about a failed request.

    `awslambda/proxy.py` writes it. Its `requestId` is the one on the visitor's error page, not
    Lambda's.
    """
    return "error" in fields and "requestId" in fields and "logger" not in fields


def as_text(value: object) -> str:
    """Return a string as it is, and any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _entry_end(lines: list[str], begin: int) -> int:
    """Return the index after an entry: one line, or a traceback with those it is chained to."""
    end = begin + 1
    if lines[begin] != TRACEBACK:
        return end
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    if end == len(lines) or parse_platform_event(lines[end]):
        return end
    link = _skip_blank(lines, end + 1)
    if link < len(lines) and lines[link] in CHAINED:
        next_traceback = _skip_blank(lines, link + 1)
        if next_traceback < len(lines) and lines[next_traceback] == TRACEBACK:
            return _entry_end(lines, next_traceback)
    return end + 1


def _skip_blank(lines: list[str], begin: int) -> int:
    return begin + sum(1 for _ in itertools.takewhile(lambda line: not line, lines[begin:]))


def _platform_fields(event: PlatformEvent) -> dict[str, Any]:
    return {
        "message": event.message,
        "level": "ERROR" if event.is_failure else "",
        "invocation": event.invocation,
        "is_platform": True,
    }


def _fields(message: str) -> dict[str, Any]:
    """Return the fields of a LogEntry for a logger's record or for printed text."""
    if fields := json_fields(message):
        return _record_fields(fields)
    if match := STOPPED.match(message):
        return {"level": "ERROR", "message": match["reason"], "invocation": match["id"]}
    first, _, rest = message.partition("\n")
    if first == TRACEBACK:
        frames, _, exception = message.rpartition("\n")
        return {"level": "ERROR", "message": exception, "details": frames}
    return {"message": first, "details": rest}


def _record_fields(record: dict[str, Any]) -> dict[str, Any]:
    """The record of a logger, an exception that left the handler, or the proxy's error line."""
    error = ": ".join(
        str(record[name]) for name in ("errorType", "errorMessage") if record.get(name)
    )
    message, _, rest = as_text(record.get("message") or error).partition("\n")
    # The message of a failed start has the frames that matter.
    frames = None if record.get("errorType") in START_FAILURES else record.get("stackTrace")
    trace = [str(frame).rstrip("\n") for frame in frames] if isinstance(frames, list) else []
    if trace and record.get("message"):
        trace.append(error)
    fields: dict[str, Any] = {
        "message": message,
        "level": str(record.get("level", "")).upper(),
        "logger": str(record.get("logger", "")),
        "details": "\n".join([*([rest] if rest else []), *trace]),
    }
    if is_proxy_error(record):
        shown = {"requestId", "errorType"}
    else:
        shown = set()
        fields["invocation"] = str(record.get("requestId") or "")
    fields["extra"] = {
        name: value
        for name, value in record.items()
        if name not in STANDARD_FIELDS or name in shown
    }
    return fields
