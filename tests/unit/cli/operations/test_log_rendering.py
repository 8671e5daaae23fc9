"""Log entries on the terminal."""

from datetime import timedelta
from typing import Any

import pytest

from djambda_cli.aws.log_entries import LogSource, parse_events
from djambda_cli.operations.log_rendering import render_entry
from tests.unit.cli.log_samples import END, ID, PRESENT, PROXY_ERROR, REPORT, START, events


def shown(*messages: str | dict[str, Any], **options: Any) -> list[str]:
    """The lines as people see them, from 12:00 on, without their times."""
    entries = parse_events(events(*messages, **options), {})
    return [
        "\n".join(line.plain for line in render_entry(entry, PRESENT).split())[13:]
        for entry in entries
    ]


def test_time_is_in_the_zone_of_this_machine() -> None:
    [entry] = parse_events(events("hello"), {})

    assert render_entry(entry, PRESENT).plain == "13:00:00.000 django          hello"
    tomorrow = PRESENT + timedelta(days=1)
    assert render_entry(entry, tomorrow).plain == "2026-11-24 13:00:00.000 django          hello"


def test_record_of_a_logger() -> None:
    record = {
        "timestamp": "2026-11-24T12:00:00Z",
        "level": "WARNING",
        "message": "Not Found: /nope",
        "logger": "django.request",
        "requestId": ID,
        "status_code": 404,
    }

    assert shown(record) == ["django WARNING  django.request: Not Found: /nope  status_code=404"]


def test_record_with_a_traceback() -> None:
    record = {
        "level": "ERROR",
        "message": "Internal Server Error: /",
        "logger": "django.request",
        "stackTrace": ['  File "a.py", line 1, in f\n    g()\n', '  File "b.py", line 2, in g\n'],
        "errorType": "KeyError",
        "errorMessage": "'x'",
        "location": "log.py:log_response:253",
    }
    [text] = shown(record)

    assert text.splitlines() == [
        "django ERROR    django.request: Internal Server Error: /",
        '      File "a.py", line 1, in f',
        "        g()",
        '      File "b.py", line 2, in g',
        "    KeyError: 'x'",
    ]


def test_exception_raised_by_the_handler() -> None:
    record = {
        "timestamp": "2026-11-24T12:00:00Z",
        "level": "ERROR",
        "errorMessage": "`check` failed with exit code 1:\nno such thing",
        "errorType": "ManagementCommandFailed",
        "requestId": ID,
        "stackTrace": ['  File "a.py", line 1, in f\n'],
    }
    [text] = shown(record)

    assert text.splitlines() == [
        "django ERROR    ManagementCommandFailed: `check` failed with exit code 1:",
        "    no such thing",
        '      File "a.py", line 1, in f',
    ]


def test_proxy_error_has_both_ids() -> None:
    [text] = shown(PROXY_ERROR, source=LogSource.PROXY)

    assert text == (
        "proxy  ERROR    GET request failed: 502 django_failed  error=django_failed  "
        f"requestId=the-visitors  errorType=KeyError  invocationId={ID}"
    )


def test_platform_events_as_text() -> None:
    assert shown("INIT_START Runtime Version: python:3.13.v1", START, END, REPORT) == [
        "django          INIT_START Runtime Version: python:3.13.v1",
        f"django          {ID} start version 7",
        f"django          {ID} end",
        f"django          {ID} 12 ms, 107 MB, cold start 364 ms",
    ]


def test_platform_events_as_json() -> None:
    assert shown(
        {"time": "t", "type": "platform.start", "record": {"requestId": ID, "version": "7"}},
        {
            "time": "t",
            "type": "platform.report",
            "record": {
                "requestId": ID,
                "status": "timeout",
                "metrics": {"durationMs": 900000.0, "billedDurationMs": 900000},
            },
        },
    ) == [
        f"django          {ID} start version 7",
        f"django ERROR    {ID} 900000 ms, timeout: see the lines above",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "{not json",
        '{"type": "platform.report", "record": {"metrics": {"durationMs": "x"}, "requestId": []}}',
        '{"type": "platform.report", "record": {"metrics": 1}}',
        '{"type": 3, "record": {}, "message": {"a": 1}, "stackTrace": 5, "level": null}',
        '{"message": ["\\ud800"]}',
        "REPORT RequestId: x Duration: 1.2.3 ms",
        '{"a": ' * 100_000,
    ],
)
def test_malformed_lines_are_shown(line: str) -> None:
    [text] = shown(line)

    assert text.encode()


def test_control_characters_are_escaped() -> None:
    assert shown("Not Found: /\x1b]0;gotcha\x07\u202e") == [
        "django          Not Found: /\\u001b]0;gotcha\\u0007\\u202e"
    ]
