"""The events of a log, parsed into entries."""

import pytest

from djambda_cli.aws.log_entries import LogEntry, LogEvent, LogSource, parse_events
from tests.unit.cli.log_samples import END, ID, NOON, START, events


def test_printed_lines_belong_to_the_current_invocation() -> None:
    entries = parse_events(events("before", START, "Applying core.0002... OK", ""), {})

    assert [(entry.message, entry.invocation) for entry in entries] == [
        ("before", ""),
        ("start version 7", ID),
        ("Applying core.0002... OK", ID),
    ]


def test_invocation_continues_in_the_next_batch() -> None:
    invocations: dict[str, str] = {}
    parse_events(events(START), invocations)

    [entry] = parse_events(events("later"), invocations)

    assert entry.invocation == ID


def test_printed_traceback_and_its_causes_are_one_entry() -> None:
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
    first, second, third = parse_events(events("Oops", *lines, "after"), {})

    assert (first.message, third.message) == ("Oops", "after")
    assert (second.level, second.message) == ("ERROR", "ValueError: no")
    assert second.details == "\n".join(lines[:-1])


def test_failed_start_shows_the_frames_of_its_message_only() -> None:
    failure = {
        "level": "ERROR",
        "errorType": "DjangoFailedToStart",
        "errorMessage": "KeyError: 'X'\n  File settings.py",
        "requestId": "",
        "stackTrace": ["  File awslambda.py"],
    }

    [entry] = parse_events(events(failure), {})

    assert entry.is_error
    assert entry.message == "DjangoFailedToStart: KeyError: 'X'"
    assert entry.details == "  File settings.py"


def test_truncated_traceback_ends_at_a_platform_event() -> None:
    lines = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', END]

    assert [entry.is_platform for entry in parse_events(events(*lines), {})] == [False, True]


@pytest.mark.parametrize(
    "line",
    [
        f"2026-11-24T12:00:00.000Z {ID} Task timed out after 900.00 seconds",
        f"RequestId: {ID} Error: Runtime exited with error: signal: killed",
    ],
)
def test_stopped_function_is_an_error(line: str) -> None:
    [entry] = parse_events(events(line), {})

    assert (entry.is_error, entry.invocation) == (True, ID)


def test_entry_without_a_level_is_not_an_error() -> None:
    assert not LogEntry(NOON, LogSource.DJANGO, "hello", "hello").is_error


def test_entries_of_both_logs_are_sorted_by_time() -> None:
    django, proxy = events("first", "third"), events("second", source=LogSource.PROXY)
    moved = [
        LogEvent(one.id, one.source, one.stream, NOON + number, one.message)
        for number, one in ((0, django[0]), (2, django[1]), (1, proxy[0]))
    ]

    assert [entry.message for entry in parse_events(moved, {})] == ["first", "second", "third"]


def test_entry_as_json() -> None:
    [_, entry] = parse_events(events(START, "hello"), {})

    assert entry.as_json() == {
        "timestamp": "2026-11-24T12:00:00.001+00:00",
        "function": "django",
        "invocation": ID,
        "level": None,
        "logger": None,
        "message": "hello",
        "raw": "hello",
    }
