"""The log of an emulated function, as Lambda writes it to CloudWatch: a stream per environment.

Lines appear while the function runs. A record of a logger is one event, and so is each printed
line. Lambda's own lines are JSON or text, as the function is configured.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
"""

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.services import cloudwatch_logs as logs

FRAME = b"\xa5\x5a\x00"
"""The beginning of a record that awslambdaric's `FramedTelemetryLogSink` writes."""
FRAME_HEADER = 16
TAIL = 4096
"""https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#lambda-Invoke-response-LogResult"""
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Report:
    """The outcome of an invocation. `memory` is in bytes; `error` was not logged by the process."""

    seconds: float
    init_seconds: float | None
    memory: int
    status: str = "success"
    error_type: str = ""
    error: str = ""


class FunctionLog:
    """The log of one environment of the function with this configuration."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        settings = config.get("LoggingConfig") or {}
        self._group = settings.get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        self._is_json = settings.get("LogFormat") == "JSON"
        self._version = config.get("Version", "$LATEST")
        self._request_id = ""
        self._buffer = bytearray()
        self._line = bytearray()
        self._started = False
        self._tail = ""
        self.stream = ""

    @property
    def tail(self) -> str:
        """The end of the current invocation's log."""
        return self._tail[-TAIL:]

    def open_stream(self) -> None:
        """Start a stream, for a new environment."""
        day = datetime.now(UTC).strftime("%Y/%m/%d")
        self.stream = f"{day}/[{self._version}]{uuid.uuid4().hex}"

    def begin(self, request_id: str) -> None:
        """Begin an invocation."""
        self._request_id = request_id
        self._tail = ""
        self._started = False

    def feed(self, data: bytes) -> None:
        """Log what the process has written: records in frames, and text."""
        self._buffer += data
        while self._buffer:
            if self._buffer.startswith(FRAME):
                end = FRAME_HEADER + int.from_bytes(self._buffer[4:8])
                if len(self._buffer) < max(end, FRAME_HEADER):
                    return
                self._add(bytes(self._buffer[FRAME_HEADER:end]))
            else:
                end = self._buffer.find(FRAME)
                if end < 0:
                    end = len(self._buffer)
                *lines, self._line = (self._line + self._buffer[:end]).split(b"\n")
                self._add(*map(bytes, lines))
            del self._buffer[:end]

    def flush(self) -> None:
        """Log a line without an end."""
        if self._line:
            self._add(bytes(self._line))
            self._line.clear()

    def end(self, report: "Report") -> None:
        """End an invocation with Lambda's report."""
        self.start()
        self.flush()
        milliseconds = round(report.seconds * 1000, 2)
        metrics: dict[str, float] = {
            "durationMs": milliseconds,
            "billedDurationMs": int(milliseconds) + 1,
            "memorySizeMB": self._config.get("MemorySize", 128),
            "maxMemoryUsedMB": report.memory // MEGABYTE,
        }
        if report.init_seconds is not None:
            metrics["initDurationMs"] = round(report.init_seconds * 1000, 2)
        if self._is_json:
            record = {"requestId": self._request_id, "metrics": metrics, "status": report.status}
            if report.status == "error":
                record["errorType"] = report.error_type
            self._platform("report", record)
            return
        if report.error:
            self._write(report.error)
        self._write(f"END RequestId: {self._request_id}")
        fields = {
            "REPORT RequestId": self._request_id,
            "Duration": f"{milliseconds} ms",
            "Billed Duration": f"{metrics['billedDurationMs']} ms",
            "Memory Size": f"{metrics['memorySizeMB']} MB",
            "Max Memory Used": f"{metrics['maxMemoryUsedMB']} MB",
        }
        if report.init_seconds is not None:
            fields["Init Duration"] = f"{metrics['initDurationMs']} ms"
        if report.status != "success":
            fields["Status"] = report.status
        if report.status == "error":
            fields["Error Type"] = report.error_type
        self._write("\t".join(f"{name}: {value}" for name, value in fields.items()))

    def start(self) -> None:
        """Log the start of an invocation, after the initialization."""
        if self._started:
            return
        self._started = True
        if self._is_json:
            record = {"requestId": self._request_id, "version": self._version}
            self._platform("start", record)
        else:
            self._write(f"START RequestId: {self._request_id} Version: {self._version}")

    def _platform(self, kind: str, record: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._write(json.dumps({"time": now, "type": f"platform.{kind}", "record": record}))

    def _add(self, *lines: bytes) -> None:
        for line in lines:
            if line.strip():
                self._write(line.decode(errors="replace").rstrip("\n"))

    def _write(self, message: str) -> None:
        now = int(time.time() * 1000)
        self._tail = (self._tail + message + "\n")[-2 * TAIL :]
        stream = _stream(self._group, self.stream, now)
        logs._append_log_events(
            stream, [{"timestamp": now, "message": message, "ingestionTime": now}]
        )


def _stream(group_name: str, name: str, now: int) -> dict[str, Any]:
    """Return the emulator's log stream; create it, and its group, if it does not exist."""
    group = logs._log_groups.get(group_name)
    if group is None:
        group = logs._log_groups[group_name] = {
            "arn": logs._make_group_arn(group_name),
            "creationTime": now,
            "retentionInDays": None,
            "tags": {},
            "subscriptionFilters": {},
            "streams": {},
        }
    stream: dict[str, Any] = group["streams"].setdefault(
        name,
        {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        },
    )
    return stream
