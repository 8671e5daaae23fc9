"""The schedule expressions of EventBridge Scheduler: when they occur, and what is wrong with them.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html

The CDK app checks a project's expressions, the CLI shows the next run, and the local cloud fires
with them. The standard library only: the local cloud's emulator loads this file, and has neither
djambda nor its dependencies.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple

UNITS = ("minute", "hour", "day")
FIELDS = 6
SUNDAY_IS_1 = 1
DAYS_OF_WEEK = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS = tuple(calendar.month_abbr[number].upper() for number in range(1, 13))
LONGEST_PAUSE = timedelta(days=40 * 366)
"""From a Monday, February 29, to the next one, at most: 2072 to 2112."""
EXAMPLES = "cron(0 3 * * ? *) is every day at 03:00, rate(15 minutes) every quarter of an hour"


class ExpressionError(ValueError):
    """The expression is invalid; the message says why and what to write."""


@dataclass(frozen=True)
class Rate:
    """rate(...): at the schedule's creation, and each `interval` after it."""

    interval: timedelta

    def next_after(self, moment: datetime, zone: tzinfo, created: datetime) -> datetime:  # noqa: ARG002
        """Return the first occurrence after `moment` in UTC."""
        if moment < created:
            return created.astimezone(UTC)
        return (created + ((moment - created) // self.interval + 1) * self.interval).astimezone(UTC)


@dataclass(frozen=True)
class Once:
    """at(...): once, at a time without a zone."""

    time: datetime

    def next_after(self, moment: datetime, zone: tzinfo, created: datetime) -> datetime | None:  # noqa: ARG002
        """Return the time in UTC if it is after `moment`."""
        time = self.time.replace(tzinfo=zone).astimezone(UTC)
        return time if time > moment else None


@dataclass(frozen=True)
class Cron:
    """cron(...): the minutes, hours, months and years, and the day fields as written."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    day_of_month: str
    months: frozenset[int]
    day_of_week: str
    years: frozenset[int]

    def next_after(self, moment: datetime, zone: tzinfo, created: datetime) -> datetime | None:  # noqa: ARG002
        """Return the first occurrence after `moment` in UTC.

        Scheduler skips a time that does not exist because the clocks go forward, and does not
        repeat one that occurs twice because they go back.
        """
        for day in self.days_from(moment.astimezone(zone).date()):
            for hour in self.hours:
                for minute in self.minutes:
                    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                    time = local.astimezone(UTC)
                    exists = time.astimezone(zone).time() == local.time()
                    if exists and time > moment:
                        return time
        return None

    def days_from(self, first: date) -> Iterator[date]:
        """Yield the days on which it occurs, from the first one on."""
        day = max(first, date(min(self.years), 1, 1))
        end = day + LONGEST_PAUSE
        while day <= end and day.year <= max(self.years):
            if day.year in self.years and day.month in self.months and self._has(day):
                yield day
            day += timedelta(days=1)

    def _has(self, day: date) -> bool:
        if self.day_of_week == "?":
            return any(_is_day_of_month(day, part) for part in self.day_of_month.split(","))
        return any(_is_day_of_week(day, part) for part in self.day_of_week.split(","))


type Expression = Cron | Once | Rate
"""A schedule. `next_after` gets a time, the schedule's time zone, and the time of its creation."""


class Field(NamedTuple):
    """A field of cron(...): its name, its values, their names, and a pattern of special values."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    special: str = ""
    has_steps: bool = True


DAY_OF_MONTH = Field("day of month", 1, 31, special=r"L|\d+W")
DAY_OF_WEEK = Field(
    "day of week",
    SUNDAY_IS_1,
    7,
    DAYS_OF_WEEK,
    special=r"L|(\d|[A-Z]{3})L|(\d|[A-Z]{3})#[1-5]",
    has_steps=False,
)
CRON_FIELDS = (
    Field("minutes", 0, 59),
    Field("hours", 0, 23),
    DAY_OF_MONTH,
    Field("month", 1, 12, MONTHS),
    DAY_OF_WEEK,
    Field("year", 1970, 2199),
)
UNIX_DAYS = re.compile(r"(?:\*|(?P<first>[0-7])(?:-(?P<last>[0-7]))?)(?:/(?P<step>[1-7]))?")
SHORTCUTS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def parse(expression: str) -> Expression:
    """Return the schedule that an expression describes. Raises `ExpressionError`."""
    match = re.fullmatch(r"(cron|rate|at)\((.*)\)", expression.strip(), re.DOTALL)
    if not match:
        raise ExpressionError(_not_an_expression(expression.strip()))
    kind, text = match[1], match[2].strip()
    if kind == "rate":
        return _parse_rate(text)
    if kind == "at":
        return _parse_at(text)
    return _parse_cron(text)


def canonical(expression: str) -> str:
    """Return a valid expression in one line, with single spaces and the names in uppercase.

    Scheduler documents no other form.
    """
    kind, _, text = expression.strip().partition("(")
    text = " ".join(text.removesuffix(")").split())
    return f"{kind}({text.upper() if kind == 'cron' else text})"


def _not_an_expression(text: str) -> str:
    fields = SHORTCUTS.get(text, text).split()
    if not re.match(r"[\d*]", "".join(fields)) or len(fields) not in {FIELDS - 1, FIELDS}:
        return f"write cron(...) or rate(...): {EXAMPLES}"
    if len(fields) == FIELDS:
        return f"write {_valid(f'cron({text})')}"
    return f"write {_from_unix(fields)}: a cron expression of Scheduler has a year, and one ?"


def _parse_rate(text: str) -> Rate:
    match = re.fullmatch(r"(\d+)\s+([a-z]+?)(s?)", text)
    if not match or match[2] not in UNITS or not int(match[1]):
        raise ExpressionError(
            "write rate(NUMBER UNIT) with a number above 0 and the unit minutes, hours or days, "
            "e.g. rate(15 minutes)"
        )
    value, unit = int(match[1]), match[2]
    right = f"rate({value} {unit}{'s' * (value != 1)})"
    if right != f"rate({value} {unit}{match[3]})":
        raise ExpressionError(f"write {right}")
    try:
        return Rate(timedelta(**{f"{unit}s": value}))
    except OverflowError:
        raise ExpressionError("the number is too large") from None


def _parse_at(text: str) -> Once:
    try:
        return Once(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S"))  # noqa: DTZ007 (the zone is apart)
    except ValueError:
        raise ExpressionError("write at(YYYY-MM-DDTHH:MM:SS)") from None


def _parse_cron(text: str) -> Cron:
    parts = text.upper().split()
    if len(parts) == FIELDS - 1:
        raise ExpressionError(f"the year is missing: write {_from_unix(parts)}")
    if len(parts) != FIELDS:
        raise ExpressionError(
            f"cron(...) has 6 fields, not {len(parts)}: minutes, hours, day of month, month, "
            f"day of week, year. {EXAMPLES}"
        )
    _, _, day_of_month, _, day_of_week, _ = parts
    if (day_of_month == "?") == (day_of_week == "?"):
        raise ExpressionError(_question_mark(parts))
    values = [
        () if part == "?" and field in {DAY_OF_MONTH, DAY_OF_WEEK} else _values(part, field)
        for part, field in zip(parts, CRON_FIELDS, strict=True)
    ]
    minutes, hours, _, months, _, years = values
    cron = Cron(
        tuple(sorted(set(minutes))),
        tuple(sorted(set(hours))),
        day_of_month,
        frozenset(months),
        day_of_week,
        frozenset(years),
    )
    if parts[-1] == "*" and not any(cron.days_from(date(2000, 1, 1))):
        raise ExpressionError("no month has this day")
    return cron


def _question_mark(parts: list[str]) -> str:
    minutes, hours, day_of_month, month, day_of_week, year = parts
    if day_of_month == "?":
        day_of_week = "*"
    elif day_of_week == "*":
        day_of_week = "?"
    else:
        day_of_month = "?"
    right = _valid(f"cron({minutes} {hours} {day_of_month} {month} {day_of_week} {year})")
    return f"exactly one of day of month and day of week must be ?: write {right}"


def _from_unix(fields: list[str]) -> str:
    """Return a cron expression of Scheduler for the five fields of Unix, whose Sunday is 0 or 7.

    Raises `ExpressionError` if the fields have other mistakes.
    """
    minutes, hours, day_of_month, month, day_of_week = fields
    if day_of_week in {"*", "?"}:
        day_of_month, day_of_week = day_of_month.replace("?", "*"), "?"
    else:
        day_of_month = "?"
        day_of_week = ",".join(map(_unix_days, day_of_week.split(",")))
    return _valid(f"cron({minutes} {hours} {day_of_month} {month} {day_of_week} *)")


def _valid(suggestion: str) -> str:
    """Return an expression to write. Raises `ExpressionError` if it is not valid either."""
    parse(suggestion)
    return suggestion


def _unix_days(part: str) -> str:
    """Return days of the week of Unix by their names, one by one where Scheduler has no range."""
    match = UNIX_DAYS.fullmatch(part)
    if not match or not (match["step"] or match["last"] == "7"):
        return re.sub(r"\d+", lambda day: DAYS_OF_WEEK[int(day[0]) % 7], part)
    first, last = int(match["first"] or 0), int(match["last"] or 6)
    days = range(first, last + 1, int(match["step"] or 1))
    return ",".join(dict.fromkeys(DAYS_OF_WEEK[day % 7] for day in days))


def _values(text: str, field: Field) -> tuple[int, ...]:
    """Return the values of a field, without the special ones. Raises `ExpressionError`."""
    found: list[int] = []
    parts = text.split(",")
    for part in parts:
        if field.special and re.fullmatch(field.special, part):
            _value(re.sub(r"[LW]$|#.", "", part) or str(field.last), field)
            if "#" in part and len(parts) > 1:
                raise ExpressionError("a day of week with # must be the only one")
            continue
        found += _range(part, field)
    return tuple(found)


def _range(part: str, field: Field) -> range:
    values, slash, step = part.partition("/")
    if slash and not field.has_steps:
        raise ExpressionError(f"{field.name} has no steps: list the days, e.g. MON,WED,FRI")
    if slash and not (step.isdecimal() and int(step)):
        raise ExpressionError(f"{part!r} in {field.name} has no step above 0, as in 0/15")
    if slash and int(step) > field.last:
        raise ExpressionError(
            f"{part!r} has a step of {step}, but the last value of {field.name} is {field.last}"
        )
    if values == "*":
        first, last = field.first, field.last
    else:
        begin, dash, end = values.partition("-")
        first = _value(begin, field)
        last = _value(end, field) if dash else field.last if slash else first
    if first > last:
        raise ExpressionError(
            f"{part!r} in {field.name} runs backward: write the two parts, separated by a comma"
        )
    return range(first, last + 1, int(step or 1))


def _value(text: str, field: Field) -> int:
    if text in field.names:
        return field.names.index(text) + field.first
    if text.isdecimal() and field.first <= int(text) <= field.last:
        return int(text)
    names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
    raise ExpressionError(
        f"{text!r} is not a value of {field.name}: use {field.first} to {field.last}{names}"
    )


def _is_day_of_month(day: date, part: str) -> bool:
    _, last = calendar.monthrange(day.year, day.month)
    if part == "L":
        return day.day == last
    if part.endswith("W"):
        return day == _nearest_weekday(day.replace(day=min(int(part[:-1]), last)), last)
    return day.day in _range(part, DAY_OF_MONTH)


def _nearest_weekday(day: date, last: int) -> date:
    """Return the nearest day from Monday to Friday in the same month."""
    if day.weekday() == calendar.SATURDAY:
        return day + timedelta(days=-1 if day.day > 1 else 2)
    if day.weekday() == calendar.SUNDAY:
        return day + timedelta(days=1 if day.day < last else -2)
    return day


def _is_day_of_week(day: date, part: str) -> bool:
    number = day.isoweekday() % 7 + SUNDAY_IS_1
    if part == "L":
        return number == DAY_OF_WEEK.last
    if part.endswith("L"):
        _, last = calendar.monthrange(day.year, day.month)
        return number == _value(part[:-1], DAY_OF_WEEK) and day.day + 7 > last
    if "#" in part:
        name, _, week = part.partition("#")
        return number == _value(name, DAY_OF_WEEK) and (day.day - 1) // 7 + 1 == int(week)
    return number in _range(part, DAY_OF_WEEK)
