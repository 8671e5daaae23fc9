"""What a Lambda log says, for people: its events become entries, and an entry becomes a line.

Lambda writes JSON where a logger or the runtime speaks, plain text where a command prints, and
lines of its own about each invocation, JSON or text as the function is set up. The local cloud
writes text only. `logs.py` gets the events; this module knows what they look like.
"""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rich.text import Text

ERROR_LEVELS = frozenset({"ERROR", "CRITICAL", "FATAL"})
LEVEL_STYLES = {
    "DEBUG": "dim",
    "INFO": "green",
    "WARN": "yellow",
    "WARNING": "yellow",
    **dict.fromkeys(ERROR_LEVELS, "bold red"),
}

# What Lambda itself writes where logs are text:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
PLATFORM_TEXT = re.compile(
    r"(?P<kind>START|END|REPORT) RequestId: (?P<id>\S+)(?: Version: (?P<version>\S+))?"
    r"|(?:INIT_START|INIT_REPORT|EXTENSION)\b"
)
REPORT_FIELD = re.compile(r"(?P<name>[A-Z][\w ]*): (?P<value>[\d.]+) (?:ms|MB)")
STOPPED = re.compile(
    r"(?:\S+Z )?(?:RequestId: )?(?P<id>[0-9a-f-]{36}) (?P<why>Task timed out .*|Error: .*)"
)
TRACEBACK = "Traceback (most recent call last):"
CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
STANDARD = frozenset(
    {"timestamp", "level", "message", "logger", "requestId", "location"}
    | {"stackTrace", "errorType", "errorMessage"}
)
"""The fields of Lambda's JSON formatter; others are what a program adds to its line."""
UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What a terminal obeys, what turns the direction of text, and what has no UTF-8."""


class Which(StrEnum):
    """Whose log it is: the Django function's or the front door's."""

    DJANGO = "django"
    PROXY = "proxy"

    @property
    def style(self) -> str:
        """Its colour on the terminal."""
        return {"django": "cyan", "proxy": "magenta"}[self.value]


@dataclass(frozen=True)
class Event:
    """One event of CloudWatch; `timestamp` in milliseconds."""

    id: str
    function: Which
    stream: str
    timestamp: int
    message: str


@dataclass(frozen=True)
class Entry:
    """One thing that was logged; `raw` is all of it.

    `invocation` is Lambda's request id. `details` are the lines that belong below the message.
    `platform`: Lambda itself says it, of an invocation.
    """

    timestamp: int
    function: Which
    message: str
    raw: str
    level: str = ""
    logger: str = ""
    details: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    invocation: str = ""
    platform: bool = False

    @property
    def is_error(self) -> bool:
        """Whether somebody should look at it."""
        return self.level in ERROR_LEVELS

    @property
    def time(self) -> datetime:
        """When, in UTC."""
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "timestamp": self.time.isoformat(timespec="milliseconds"),
            "function": self.function.value,
            "invocation": self.invocation or None,
            "level": self.level or None,
            "logger": self.logger or None,
            "message": self.message,
            "raw": self.raw,
        }


def parsed(events: Iterable[Event], invocations: dict[str, str]) -> list[Entry]:
    """What the events mean, by time; a traceback in plain text is one entry.

    `invocations` has the invocation that each stream is in. It is brought up to date.
    """
    streams: dict[tuple[Which, str], list[Event]] = defaultdict(list)
    for event in events:
        streams[event.function, event.stream].append(event)
    entries = []
    for (function, stream), lines in streams.items():
        texts = [event.message.rstrip() for event in lines]
        position = 0
        while position < len(lines):
            begin, position = position, _end(texts, position)
            message = "\n".join(texts[begin:position])
            if not message:
                continue
            entry = _entry(message) | {"timestamp": lines[begin].timestamp, "function": function}
            if entry.pop("begins", False):
                invocations[stream] = entry["invocation"]
            entries.append(Entry(**{"invocation": invocations.get(stream, "")} | entry))
    return sorted(entries, key=lambda entry: entry.timestamp)


def line_of(entry: Entry, present: datetime) -> Text:
    """The entry for people: a line, with its details below. Times are in the zone of `present`."""
    at = entry.time.astimezone(present.tzinfo)
    day = "" if at.date() == present.date() else f"{at:%Y-%m-%d} "
    quiet = "dim" if entry.platform and not entry.is_error else ""
    line = Text(style=quiet)
    line.append(f"{day}{at:%H:%M:%S}.{at.microsecond // 1000:03} ", "dim")
    line.append(f"{entry.function.value:<6} ", quiet or entry.function.style)
    line.append(f"{entry.level:<8} ", LEVEL_STYLES.get(entry.level, ""))
    if entry.platform and entry.invocation:
        line.append(f"{entry.invocation} ")
    if entry.logger:
        line.append(f"{entry.logger}: ", "dim")
    line.append(printable(entry.message))
    for name, value in entry.extra.items():
        line.append(printable(f"  {name}={_text(value)}"), "dim")
    for detail in entry.details.splitlines():
        line.append(printable(f"\n    {detail}"), quiet or "dim")
    return line


def printable(text: str) -> str:
    """Text that only prints: part of what is logged comes from visitors."""
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def fields_of(message: str) -> dict[str, Any]:
    """The fields of a line that is a JSON object; {} if it is something else."""
    if not message.startswith("{"):
        return {}
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def is_front_doors(said: dict[str, Any]) -> bool:
    """Whether it is the front door's line about a failed request (`awslambda/proxy.py`).

    Its requestId is the one that the visitor was shown, and not Lambda's.
    """
    return "error" in said and "requestId" in said and "logger" not in said


def _end(lines: list[str], begin: int) -> int:
    """The index after what begins there: one line, or a traceback with those it is chained to."""
    end = begin + 1
    if lines[begin] != TRACEBACK:
        return end
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    if end == len(lines) or PLATFORM_TEXT.match(lines[end]):
        return end
    link = _after_blank(lines, end + 1)
    if link < len(lines) and lines[link] in CHAINED:
        next_one = _after_blank(lines, link + 1)
        if next_one < len(lines) and lines[next_one] == TRACEBACK:
            return _end(lines, next_one)
    return end + 1


def _after_blank(lines: list[str], begin: int) -> int:
    return begin + sum(1 for _ in itertools.takewhile(lambda line: not line, lines[begin:]))


def _entry(message: str) -> dict[str, Any]:
    """An Entry's fields but for when and where; `begins` if it is an invocation's first line."""
    said = fields_of(message)
    if str(said.get("type", "")).startswith("platform.") and isinstance(said.get("record"), dict):
        parts = _of_platform(said["type"].removeprefix("platform."), said["record"])
    elif said:
        parts = _of_logger(said)
    else:
        parts = _of_text(message)
    return {"raw": message} | parts


def _of_platform(kind: str, record: dict[str, Any]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html"""
    failed = record.get("status", "success") != "success"
    message = {"start": f"start version {record.get('version')}", "report": "end"}.get(kind, kind)
    if kind == "report":
        metrics = record.get("metrics")
        known = metrics.get if isinstance(metrics, dict) else {}.get
        message = _cost(*map(known, ("durationMs", "maxMemoryUsedMB", "initDurationMs")))
    if failed:
        message += f", {record['status']}: {record.get('errorType', 'see the lines before')}"
    return {
        "message": message,
        "level": "ERROR" if failed else "",
        "platform": True,
        "begins": kind == "start",
        **({"invocation": str(record["requestId"])} if "requestId" in record else {}),
    }


def _cost(duration: object, memory: object, cold_start: object) -> str:
    """An invocation's duration (ms), memory (MB) and cold start (ms), in short."""
    parts = {"{} ms": duration, "{} MB": memory, "cold start {} ms": cold_start}
    return ", ".join(form.format(_rounded(it)) for form, it in parts.items() if it is not None)


def _rounded(value: object) -> str:
    try:
        return f"{float(str(value)):.0f}"
    except ValueError:
        return str(value)  # Whoever can print a line can print one like Lambda's.


def _of_logger(said: dict[str, Any]) -> dict[str, Any]:
    """A logger's record, an exception that left the handler, or a line of the front door's."""
    error = ": ".join(str(said[name]) for name in ("errorType", "errorMessage") if said.get(name))
    shown, _, more = _text(said.get("message") or error).partition("\n")
    frames = said.get("stackTrace")
    trace = [str(frame).rstrip("\n") for frame in frames] if isinstance(frames, list) else []
    if trace and said.get("message"):
        trace.append(error)
    front_doors = is_front_doors(said)
    return {
        "message": shown,
        "level": str(said.get("level", "")).upper(),
        "logger": str(said.get("logger", "")),
        "details": "\n".join([*([more] if more else []), *trace]),
        "extra": {
            name: value
            for name, value in said.items()
            if name not in STANDARD or (front_doors and name in {"requestId", "errorType"})
        },
        **(
            {}
            if front_doors or not said.get("requestId")
            else {"invocation": str(said["requestId"])}
        ),
    }


def _of_text(message: str) -> dict[str, Any]:
    if match := PLATFORM_TEXT.match(message):
        return _of_platform_text(message, match)
    if match := STOPPED.match(message):
        return {"level": "ERROR", "message": match["why"], "invocation": match["id"]}
    first, _, more = message.partition("\n")
    if first == TRACEBACK:
        frames, _, exception = message.rpartition("\n")
        return {"level": "ERROR", "message": exception, "details": frames}
    return {"message": first, "details": more}


def _of_platform_text(message: str, match: re.Match[str]) -> dict[str, Any]:
    kind = match["kind"]
    if kind is None:
        return {"message": message, "platform": True}
    fields = {each["name"]: each["value"] for each in REPORT_FIELD.finditer(message)}
    messages = {
        "START": f"start version {match['version']}",
        "END": "end",
        "REPORT": _cost(*map(fields.get, ("Duration", "Max Memory Used", "Init Duration"))),
    }
    return {
        "message": messages[kind],
        "platform": True,
        "begins": kind == "START",
        "invocation": match["id"],
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
