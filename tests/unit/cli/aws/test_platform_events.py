"""Lambda's own log lines about an invocation."""

import json

import pytest

from djambda_cli.aws.platform_events import invocation_ending

REQUEST = "8a0f7b4e-0000-4000-8000-000000000000"


def json_report(request: str, **record: str) -> str:
    """https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report"""
    return json.dumps(
        {
            "time": "2026-11-24T09:30:03.000Z",
            "type": "platform.report",
            "record": {"requestId": request, "metrics": {"durationMs": 1000.0}, **record},
        }
    )


@pytest.mark.parametrize(
    ("message", "ending"),
    [
        (f"REPORT RequestId: {REQUEST}\tDuration: 27 ms\tBilled Duration: 27 ms", "error"),
        (f"REPORT RequestId: {REQUEST}\tDuration: 3000.00 ms\tStatus: timeout\t", "timeout"),
        (f"END RequestId: {REQUEST}", None),
        ("REPORT RequestId: another\tStatus: timeout", None),
        (json_report(REQUEST, status="error", errorType="Runtime.ExitError"), "Runtime.ExitError"),
        (json_report(REQUEST, status="timeout"), "timeout"),
        (json_report("another", status="timeout"), None),
        (f'{{"type": "platform.start", "record": {{"requestId": "{REQUEST}"}}}}', None),
        (f'{{"message": "said \\"platform.report\\"", "requestId": "{REQUEST}"}}', None),
        (f'said "platform.report" of {REQUEST}', None),
        (f'["platform.report", "{REQUEST}"]', None),
    ],
)
def test_ending_in_the_report(message: str, ending: str | None) -> None:
    assert invocation_ending(message, REQUEST) == ending
