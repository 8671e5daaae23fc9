"""Lines of a log as Lambda, a logger and the proxy write them."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from djambda_cli.aws.log_entries import LogEvent, LogSource

NOON = 1_795_521_600_000  # 2026-11-24T12:00:00Z
HERE = timezone(timedelta(hours=1))
PRESENT = datetime(2026, 11, 24, 14, 30, tzinfo=HERE)
ID = "8a0f7b4e-0000-4000-8000-000000000001"
OTHER = "8a0f7b4e-0000-4000-8000-000000000002"
START = f"START RequestId: {ID} Version: 7"
END = f"END RequestId: {ID}"
REPORT = (
    f"REPORT RequestId: {ID}\tDuration: 12.31 ms\tBilled Duration: 13 ms\tMemory Size: 1024 MB\t"
    "Max Memory Used: 107 MB\tInit Duration: 363.5 ms\t"
)
PROXY_ERROR = {
    "timestamp": "2026-11-24T12:00:00Z",
    "level": "ERROR",
    "message": "GET request failed: 502 django_failed",
    "error": "django_failed",
    "requestId": "the-visitors",
    "errorType": "KeyError",
    "invocationId": ID,
}


def events(*messages: str | dict[str, Any], source: LogSource = LogSource.DJANGO) -> list[LogEvent]:
    """Lines of one stream, a millisecond apart."""
    return [
        LogEvent(
            f"{source}{number}",
            source,
            "stream",
            NOON + number,
            json.dumps(message) if isinstance(message, dict) else message,
        )
        for number, message in enumerate(messages)
    ]
