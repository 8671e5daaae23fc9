"""Schedule expressions: when they occur, and the remedy for each mistake."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from djambda_common.schedule_expressions import ExpressionError, parse

WARSAW = ZoneInfo("Europe/Warsaw")
NEW_YORK = ZoneInfo("America/New_York")
START = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)  # A Thursday.


def occurrences(
    expression: str,
    count: int,
    *,
    after: datetime = START,
    zone: ZoneInfo | None = None,
    created: datetime = START,
) -> list[str]:
    """Return the first occurrences, in UTC."""
    schedule, found = parse(expression), []
    for _ in range(count):
        time = schedule.next_after(after, zone or UTC, created)
        if time is None:
            break
        assert time.tzinfo is UTC
        found.append(f"{time:%Y-%m-%d %H:%M}")
        after = time
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 3 * * ? *)", ["2026-11-27 03:00", "2026-11-28 03:00"]),
        ("cron( 31  10 * * ? * )", ["2026-11-26 10:31", "2026-11-27 10:31"]),
        ("cron(30 10 * * ? *)", ["2026-11-27 10:30"]),
        ("cron(0/20 * * * ? *)", ["2026-11-26 10:40", "2026-11-26 11:00", "2026-11-26 11:20"]),
        ("cron(*/20 * * * ? *)", ["2026-11-26 10:40", "2026-11-26 11:00", "2026-11-26 11:20"]),
        ("cron(5,35 8-9 * * ? *)", ["2026-11-27 08:05", "2026-11-27 08:35", "2026-11-27 09:05"]),
        ("cron(0 10 ? * MON-FRI *)", ["2026-11-27 10:00", "2026-11-30 10:00"]),
        ("cron(0 10 ? * 2 *)", ["2026-11-30 10:00"]),
        ("cron(0 10 ? * sun *)", ["2026-11-29 10:00"]),
        ("cron(0 10 ? * 6#3 *)", ["2026-12-18 10:00"]),
        ("cron(0 10 ? * FRIL *)", ["2026-11-27 10:00", "2026-12-25 10:00"]),
        ("cron(0 10 ? * L *)", ["2026-11-28 10:00", "2026-12-05 10:00"]),
        ("cron(0 0 L * ? *)", ["2026-11-30 00:00", "2026-12-31 00:00"]),
        ("cron(0 0 1W * ? *)", ["2026-12-01 00:00", "2027-01-01 00:00", "2027-02-01 00:00"]),
        ("cron(0 0 31W 1 ? *)", ["2027-01-29 00:00"]),  # The 31st is a Sunday.
        ("cron(0 0 1W MAY ? *)", ["2027-05-03 00:00"]),  # The 1st is a Saturday.
        ("cron(0 0 29 2 ? *)", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("cron(0 0 ? FEB MON#5 *)", ["2044-02-29 00:00", "2072-02-29 00:00", "2112-02-29 00:00"]),
        ("cron(0 0 1 1,JUL ? *)", ["2027-01-01 00:00", "2027-07-01 00:00"]),
        ("cron(0 0 1 1 ? 2030)", ["2030-01-01 00:00"]),
        ("cron(0 0 1 1 ? 2020)", []),
        ("cron(0 0 1 1 ? 2199)", ["2199-01-01 00:00"]),
        ("rate(1 minute)", ["2026-11-26 10:31", "2026-11-26 10:32"]),
        ("rate(12 hours)", ["2026-11-26 22:30", "2026-11-27 10:30"]),
        ("rate(2 days)", ["2026-11-28 10:30"]),
        ("at(2026-11-26T10:31:00)", ["2026-11-26 10:31"]),
        ("at(2026-11-26T10:30:00)", []),
    ],
)
def test_occurrences(expression: str, expected: list[str]) -> None:
    assert occurrences(expression, max(1, len(expected))) == expected


def test_rate_begins_with_the_creation_of_the_schedule() -> None:
    before = START - timedelta(seconds=1)

    assert occurrences("rate(1 hour)", 2, after=before) == ["2026-11-26 10:30", "2026-11-26 11:30"]


@pytest.mark.parametrize(
    ("zone", "expression", "after", "expected"),
    [
        pytest.param(
            WARSAW,
            "cron(0 3 * * ? *)",
            datetime(2026, 3, 27, 12, tzinfo=UTC),
            ["2026-03-28 02:00", "2026-03-29 01:00"],
            id="same time of day in winter and summer",
        ),
        pytest.param(
            WARSAW,
            "cron(30 2 * * ? *)",
            datetime(2026, 3, 27, 12, tzinfo=UTC),
            ["2026-03-28 01:30", "2026-03-30 00:30"],
            id="time that does not exist is skipped",
        ),
        pytest.param(
            WARSAW,
            "cron(30 2 * * ? *)",
            datetime(2026, 10, 24, 12, tzinfo=UTC),
            ["2026-10-25 00:30", "2026-10-26 01:30"],
            id="time that occurs twice runs once",
        ),
        pytest.param(
            NEW_YORK,
            "cron(0 22 ? * THU *)",
            START,
            ["2026-11-27 03:00"],
            id="day of the week is that of the zone",
        ),
        pytest.param(
            WARSAW,
            "at(2026-11-26T11:31:00)",
            START,
            ["2026-11-26 10:31"],
            id="once",
        ),
    ],
)
def test_time_zone(zone: ZoneInfo, expression: str, after: datetime, expected: list[str]) -> None:
    assert occurrences(expression, len(expected), after=after, zone=zone) == expected


@pytest.mark.parametrize(
    ("expression", "remedy"),
    [
        ("0 3 * * *", "write cron(0 3 * * ? *)"),
        ("0 3 * * 1-5", "write cron(0 3 ? * MON-FRI *)"),
        ("0 3 * * 0,7", "write cron(0 3 ? * SUN,SUN *)"),
        ("0 3 * * */2", "write cron(0 3 ? * SUN,TUE,THU,SAT *)"),
        ("0 3 * * 1-5/2", "write cron(0 3 ? * MON,WED,FRI *)"),
        ("0 3 * * 5-7,2", "write cron(0 3 ? * FRI,SAT,SUN,TUE *)"),
        ("0 3 * * 0-7", "write cron(0 3 ? * SUN,MON,TUE,WED,THU,FRI,SAT *)"),
        ("cron(0 3 1 * *)", "write cron(0 3 1 * ? *)"),
        ("cron(0 3 * * 1)", "write cron(0 3 ? * MON *)"),
        ("@daily", "write cron(0 0 * * ? *)"),
        ("0 3 * * ? *", "write cron(0 3 * * ? *)"),
        ("cron(0 3 * * * *)", "write cron(0 3 * * ? *)"),
        ("cron(0 3 * * MON *)", "write cron(0 3 ? * MON *)"),
        ("cron(0 3 ? * ? *)", "write cron(0 3 ? * * *)"),
        ("cron(0 3 1 * MON *)", "write cron(0 3 ? * MON *)"),
        ("cron(0 0 3 * * ? *)", "has 6 fields, not 7"),
        ("cron()", "has 6 fields, not 0"),
        ("cron(60 3 * * ? *)", "use 0 to 59"),
        ("cron(0 24 * * ? *)", "use 0 to 23"),
        ("cron(0 3 0 * ? *)", "use 1 to 31"),
        ("cron(0 3 1 13 ? *)", "1 to 12 or JAN to DEC"),
        ("cron(0 3 ? * 0 *)", "1 to 7 or SUN to SAT"),
        ("cron(0 3 ? * MONDAY *)", "1 to 7 or SUN to SAT"),
        ("cron(0 3 ? * 3#6 *)", "day of week"),
        ("cron(0 3 ? * 3#1,6#3 *)", "must be the only one"),
        ("cron(0 3 99W * ? *)", "use 1 to 31"),
        ("cron(0 3 ? * MON/2 *)", "e.g. MON,WED,FRI"),
        ("cron(0/0 3 * * ? *)", "step above 0"),
        ("cron(0/90 3 * * ? *)", "step of 90, but the last value of minutes is 59"),
        ("cron(0 0/24 * * ? *)", "step of 24"),
        ("cron(0 22-2 * * ? *)", "runs backward"),
        ("cron(0 3 30 2 ? *)", "no month has this day"),
        ("cron(? 3 * * ? *)", "minutes"),
        ("cron(0 3 * * ? 1969)", "1970 to 2199"),
        ("rate(5 minute)", "write rate(5 minutes)"),
        ("rate(1 hours)", "write rate(1 hour)"),
        ("rate(0 minutes)", "above 0"),
        ("rate(30 seconds)", "minutes, hours or days"),
        ("rate(1.5 hours)", "e.g. rate(15 minutes)"),
        ("rate(999999999999 days)", "too large"),
        ("at(2026-11-26 10:31)", "at(YYYY-MM-DDTHH:MM:SS)"),
        ("every day", "cron(...) or rate(...)"),
        ("every day at 3 am", "cron(...) or rate(...)"),
        ("every day at 3 am UTC", "cron(...) or rate(...)"),
        ("cron 0 3 * * *", "cron(...) or rate(...)"),
        ("0 25 * * *", "'25' is not a value of hours"),
        ("0 0 31 2 *", "no month has this day"),
        ("0 0 * * * *", "write cron(0 0 * * ? *)"),
        ("cron(every day at 3 am)", "is not a value of minutes"),
        ("cron(0 25 * * * *)", "'25' is not a value of hours"),
        ("", "cron(...) or rate(...)"),
    ],
)
def test_mistake_has_a_remedy(expression: str, remedy: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(expression)

    assert remedy in str(error.value)
