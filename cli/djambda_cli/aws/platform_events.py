"""Lambda's own log lines about an invocation: its start, its end and its report.

They are JSON or text, depending on the function's log format.
https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
"""

import json
from dataclasses import dataclass
from typing import Any

SUCCESS = "success"


@dataclass(frozen=True)
class PlatformEvent:
    """One event. `kind` is "start", "end", "report" or another of Lambda's names.

    `duration` and `cold_start` are in ms, `memory` in MB. What a line does not contain is "".
    """

    kind: str
    invocation: str = ""
    version: str = ""
    status: str = ""
    error_type: str = ""
    duration: str = ""
    memory: str = ""
    cold_start: str = ""
    text: str = ""

    @property
    def is_failure(self) -> bool:
        """Return whether it reports that the invocation failed."""
        return self.status not in {"", SUCCESS}

    @property
    def message(self) -> str:
        """The event in a few words."""
        if self.kind == "start":
            message = f"start version {self.version}"
        elif self.kind == "report":
            parts = {
                "{} ms": self.duration,
                "{} MB": self.memory,
                "cold start {} ms": self.cold_start,
            }
            message = ", ".join(form.format(_rounded(part)) for form, part in parts.items() if part)
        else:
            message = self.text or self.kind
        if self.is_failure:
            message += f", {self.status}: {self.error_type or 'see the lines above'}"
        return message


def json_fields(message: str) -> dict[str, Any]:
    """Return the fields of a line that is a JSON object, or {}."""
    if not message.startswith("{"):
        return {}
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def parse_platform_event(message: str) -> PlatformEvent | None:
    """Return the event, or None if something else wrote the line."""
    if fields := json_fields(message):
        return _from_json(str(fields.get("type", "")), fields.get("record"))
    return _from_text(message)


def invocation_ending(message: str, invocation: str) -> str | None:
    """Return the error type or the status of an invocation, or None if this is not its report."""
    event = parse_platform_event(message)
    if event is None or (event.kind, event.invocation) != ("report", invocation):
        return None
    return event.error_type or event.status or "error"


def _from_json(type_: str, record: object) -> PlatformEvent | None:
    if not type_.startswith("platform.") or not isinstance(record, dict):
        return None
    metrics = record.get("metrics")
    if not isinstance(metrics, dict):
        metrics = {}
    return PlatformEvent(
        kind=type_.removeprefix("platform."),
        invocation=_string(record.get("requestId")),
        version=_string(record.get("version")),
        status=_string(record.get("status")),
        error_type=_string(record.get("errorType")),
        duration=_string(metrics.get("durationMs")),
        memory=_string(metrics.get("maxMemoryUsedMB")),
        cold_start=_string(metrics.get("initDurationMs")),
    )


def _from_text(message: str) -> PlatformEvent | None:
    match message.split(maxsplit=3):
        case ["START", "RequestId:", invocation, *rest]:
            return PlatformEvent(
                "start", invocation, version="".join(rest).removeprefix("Version: ").strip()
            )
        case ["END", "RequestId:", invocation, *_]:
            return PlatformEvent("end", invocation)
        case ["REPORT", "RequestId:", invocation, *_]:
            pairs = (field.strip().partition(": ") for field in message.split("\t"))
            fields = {name: value for name, _, value in pairs}
            return PlatformEvent(
                "report",
                invocation,
                status=fields.get("Status", ""),
                error_type=fields.get("Error Type", ""),
                duration=_number(fields.get("Duration", "")),
                memory=_number(fields.get("Max Memory Used", "")),
                cold_start=_number(fields.get("Init Duration", "")),
            )
        case ["INIT_START" | "INIT_REPORT" | "EXTENSION" as kind, *_]:
            return PlatformEvent(kind, text=message)
    return None


def _string(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: str) -> str:
    """Return a value without its unit."""
    return value.partition(" ")[0]


def _rounded(value: str) -> str:
    try:
        return f"{float(value):.0f}"
    except ValueError:
        return value  # A program can print a line that resembles one of Lambda's.
