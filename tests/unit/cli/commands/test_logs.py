"""`djambda logs`: what each kind of line means, what is shown of it, and that none gets lost."""

import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import typer
from botocore.exceptions import EndpointConnectionError

from djambda_cli.aws.log_entries import Entry, Event, Which, line_of, parsed
from djambda_cli.commands.logs import (
    ERROR_PATTERN,
    LATE_MS,
    Filter,
    Log,
    following,
    logs_of,
    milliseconds,
    of_request,
    read,
)
from djambda_cli.errors import CliError
from tests.unit.cli.aws_fakes import FakeClient, deployment, refusal

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
FRONT_DOOR = {
    "timestamp": "2026-11-24T12:00:00Z",
    "level": "ERROR",
    "message": "GET answered with 502 django_failed",
    "error": "django_failed",
    "requestId": "the-visitors",
    "errorType": "KeyError",
    "invocationId": ID,
}


def events(*messages: str | dict[str, Any], function: Which = Which.DJANGO) -> list[Event]:
    """Lines of one stream, a millisecond apart."""
    return [
        Event(
            f"{function}{number}",
            function,
            "stream",
            NOON + number,
            json.dumps(message) if isinstance(message, dict) else message,
        )
        for number, message in enumerate(messages)
    ]


def shown(*messages: str | dict[str, Any], **options: Any) -> list[str]:
    """The lines as people see them, from 12:00 on, without their times."""
    entries = parsed(events(*messages, **options), {})
    return [
        "\n".join(line.plain for line in line_of(entry, PRESENT).split())[13:] for entry in entries
    ]


def test_a_line_has_the_time_of_this_machine() -> None:
    [entry] = parsed(events("hello"), {})

    assert line_of(entry, PRESENT).plain == "13:00:00.000 django          hello"
    tomorrow = PRESENT + timedelta(days=1)
    assert line_of(entry, tomorrow).plain == "2026-11-24 13:00:00.000 django          hello"


def test_a_loggers_record() -> None:
    record = {
        "timestamp": "2026-11-24T12:00:00Z",
        "level": "WARNING",
        "message": "Not Found: /nope",
        "logger": "django.request",
        "requestId": ID,
        "status_code": 404,
    }

    assert shown(record) == ["django WARNING  django.request: Not Found: /nope  status_code=404"]


def test_a_record_with_a_traceback() -> None:
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


def test_an_exception_that_left_the_handler() -> None:
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


def test_the_front_doors_line_has_both_ids() -> None:
    [text] = shown(FRONT_DOOR, function=Which.PROXY)

    assert text == (
        "proxy  ERROR    GET answered with 502 django_failed  error=django_failed  "
        f"requestId=the-visitors  errorType=KeyError  invocationId={ID}"
    )


def test_lambdas_own_lines_as_text() -> None:
    assert shown("INIT_START Runtime Version: python:3.13.v1", START, END, REPORT) == [
        "django          INIT_START Runtime Version: python:3.13.v1",
        f"django          {ID} start version 7",
        f"django          {ID} end",
        f"django          {ID} 12 ms, 107 MB, cold start 364 ms",
    ]


def test_lambdas_own_lines_as_json() -> None:
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
        f"django ERROR    {ID} 900000 ms, timeout: see the lines before",
    ]


@pytest.mark.parametrize(
    "line",
    [
        f"2026-11-24T12:00:00.000Z {ID} Task timed out after 900.00 seconds",
        f"RequestId: {ID} Error: Runtime exited with error: signal: killed",
    ],
)
def test_a_function_that_was_stopped_is_an_error(line: str) -> None:
    [entry] = parsed(events(line), {})

    assert (entry.is_error, entry.invocation) == (True, ID)


def test_printed_lines_belong_to_the_invocation_they_are_in() -> None:
    entries = parsed(events("before", START, "Applying core.0002... OK", ""), {})

    assert [(entry.message, entry.invocation) for entry in entries] == [
        ("before", ""),
        ("start version 7", ID),
        ("Applying core.0002... OK", ID),
    ]


def test_an_invocation_goes_on_in_the_next_batch() -> None:
    invocations: dict[str, str] = {}
    parsed(events(START), invocations)

    [entry] = parsed(events("later"), invocations)

    assert entry.invocation == ID


def test_a_printed_traceback_is_one_entry_with_those_it_comes_from() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in f',
        "KeyError: 1",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "a.py", line 2, in f',
        "ValueError: no",
    ]
    first, second, third = parsed(events("Oops", *lines, "after"), {})

    assert (first.message, third.message) == ("Oops", "after")
    assert (second.level, second.message) == ("ERROR", "ValueError: no")
    assert second.details == "\n".join(lines[:-1])


def test_a_traceback_that_is_cut_off() -> None:
    lines = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', END]

    assert [entry.platform for entry in parsed(events(*lines), {})] == [False, True]


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
def test_whatever_is_logged_can_be_shown(line: str) -> None:
    [text] = shown(line)

    assert text.encode()


def test_a_line_cannot_steer_the_terminal() -> None:
    assert shown("Not Found: /\x1b]0;gotcha\x07\u202e") == [
        "django          Not Found: /\\u001b]0;gotcha\\u0007\\u202e"
    ]


def test_both_logs_by_time() -> None:
    django, proxy = events("first", "third"), events("second", function=Which.PROXY)
    moved = [
        Event(one.id, one.function, one.stream, NOON + number, one.message)
        for number, one in ((0, django[0]), (2, django[1]), (1, proxy[0]))
    ]

    assert [entry.message for entry in parsed(moved, {})] == ["first", "second", "third"]


def test_json_has_everything() -> None:
    [_, entry] = parsed(events(START, "hello"), {})

    assert entry.as_json() == {
        "timestamp": "2026-11-24T12:00:00.001+00:00",
        "function": "django",
        "invocation": ID,
        "level": None,
        "logger": None,
        "message": "hello",
        "raw": "hello",
    }


@pytest.mark.parametrize(
    ("wanted", "messages"),
    [
        (Filter(), ["hello", "Not Found"]),
        (Filter(errors=True), ["Not Found"]),
        (Filter(platform=True), ["start version 7", "hello", "Not Found"]),
        (Filter(text="HELL"), ["hello"]),
    ],
)
def test_filters(wanted: Filter, messages: list[str]) -> None:
    lines = events(START, "hello", {"level": "ERROR", "message": "Not Found"})

    assert [one.message for one in parsed(lines, {}) if wanted(one)] == messages


def test_cloudwatch_filters_errors_by_itself() -> None:
    assert ERROR_PATTERN == (
        '{ ($.level = "CRITICAL") || ($.level = "ERROR") || ($.level = "FATAL") || '
        '($.record.status = "error") || ($.record.status = "failure") || '
        '($.record.status = "timeout") }'
    )
    assert Filter(errors=True).pattern == ERROR_PATTERN


@pytest.mark.parametrize(
    ("since", "moment"),
    [
        ("90s", "2026-11-24T14:28:30+01:00"),
        ("10m", "2026-11-24T14:20:00+01:00"),
        ("2h", "2026-11-24T12:30:00+01:00"),
        ("3d", "2026-11-21T14:30:00+01:00"),
        ("1w", "2026-11-17T14:30:00+01:00"),
        ("2026-11-24T10:00", "2026-11-24T10:00:00+01:00"),
        ("2026-11-24T10:00Z", "2026-11-24T10:00:00+00:00"),
        ("2026-11-24", "2026-11-24T00:00:00+01:00"),
    ],
)
def test_since(since: str, moment: str) -> None:
    wanted = datetime.fromisoformat(moment).timestamp() * 1000

    assert milliseconds(since, PRESENT) == wanted


@pytest.mark.parametrize("since", ["", "yesterday", "10", "m", "-5m", "999999999w", "10:00"])
def test_a_wrong_since(since: str) -> None:
    with pytest.raises(typer.BadParameter, match="use 90s, 10m"):
        milliseconds(since, PRESENT)


class Stored:
    """CloudWatch with two log groups; lines may come at any time. Without `ids`, as locally."""

    def __init__(self, *, ids: bool = True) -> None:
        self.groups: dict[str, list[dict[str, Any]]] = {
            "/aws/lambda/dev-shop-djambda-lambda": [],
            "/aws/lambda/dev-shop-proxy": [],
        }
        self.ids = map(str, itertools.count()) if ids else None
        self.offline = False

    def add(self, message: str, at: int, function: str = "djambda-lambda") -> None:
        event = {"timestamp": NOON + at, "message": message, "logStreamName": "stream"}
        if self.ids:
            event["eventId"] = next(self.ids)
        self.groups[f"/aws/lambda/dev-shop-{function}"].append(event)

    def logs(self) -> list[Log]:
        return logs_of(deployment(logs=FakeClient(filter_log_events=self.filter)))

    def filter(
        self,
        logGroupName: str,  # noqa: N803
        startTime: int,  # noqa: N803
        filterPattern: str,  # noqa: N803
        **more: Any,
    ) -> Any:
        if self.offline:
            raise EndpointConnectionError(endpoint_url="https://logs")
        found = [
            event
            for event in self.groups[logGroupName]
            if startTime <= event["timestamp"] <= more.get("endTime", 1e15)
            and filterPattern.strip('"') in event["message"]
        ]
        return {"events": sorted(found, key=lambda event: event["timestamp"])}


def batches(stored: Stored) -> Iterator[list[str]]:
    for batch in following(stored.logs(), NOON, Filter(), pause=0):
        yield [entry.message for entry in batch]


@pytest.mark.parametrize("ids", [True, False])
def test_following_shows_each_line_once(ids: bool) -> None:
    stored = Stored(ids=ids)
    stored.add("too old", -1)
    stored.add("same", 0)
    stored.add("same", 0)
    looks = batches(stored)

    assert next(looks) == ["same", "same"]
    assert next(looks) == []
    stored.add("newer", 120_000)
    stored.add("from the front door", 5, "proxy")
    assert next(looks) == ["from the front door", "newer"]
    stored.add("late", 120_000 - LATE_MS)
    assert next(looks) == ["late"]
    assert next(looks) == []


def test_following_goes_on_after_the_network_was_away() -> None:
    stored = Stored()
    stored.add("one", 1)
    looks = batches(stored)

    assert next(looks) == ["one"]
    stored.offline = True
    assert next(looks) == []
    stored.add("two", 2)
    stored.offline = False
    assert next(looks) == ["two"]


def request(stored: Stored, id: str) -> list[str]:  # noqa: A002
    return [entry.message for entry in of_request(stored.logs(), id, 0)]


@pytest.fixture
def failed_request() -> Stored:
    """Django's log and the front door's, with another request around it."""
    stored = Stored()
    for at, line in enumerate((START.replace(ID, OTHER), "another", START, "boom", END, "after")):
        stored.add(line if at < 5 else START.replace(ID, OTHER), at)
    stored.add(f"START RequestId: {OTHER}9 Version: $LATEST", 0, "proxy")
    stored.add(json.dumps(FRONT_DOOR), 4, "proxy")
    stored.add(f"END RequestId: {OTHER}9", 5, "proxy")
    return stored


@pytest.mark.parametrize("id", ["the-visitors", ID])
def test_a_request_is_found_in_both_logs(failed_request: Stored, id: str) -> None:  # noqa: A002
    assert request(failed_request, id) == [
        "start version $LATEST",
        "start version 7",
        "boom",
        "end",
        "GET answered with 502 django_failed",
        "end",
    ]


def test_a_request_that_no_log_has(failed_request: Stored) -> None:
    with pytest.raises(CliError, match="No log has the request nothing"):
        request(failed_request, "nothing")


def test_no_log_yet() -> None:
    missing = FakeClient(filter_log_events=refusal("ResourceNotFoundException"))
    logs = logs_of(deployment(logs=missing))

    with pytest.raises(CliError) as error:
        read(logs, 0, Filter())

    assert "/aws/lambda/dev-shop-djambda-lambda does not exist in eu-west-1" in str(error.value)
    assert "djambda deploy" in str(error.value)


def test_what_one_may_not_read() -> None:
    refused = FakeClient(filter_log_events=refusal("AccessDeniedException"))

    with pytest.raises(CliError, match="Access denied"):
        read(logs_of(deployment(logs=refused)), 0, Filter())


def test_an_entry_without_a_level_is_no_error() -> None:
    assert not Entry(NOON, Which.DJANGO, "hello", "hello").is_error
