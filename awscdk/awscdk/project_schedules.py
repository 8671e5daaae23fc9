"""The table `schedules` of a project's configuration: commands and tasks that run on a schedule.

Scheduler checks an expression only during a deploy, so all of them are checked here.
"""

import difflib
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from awscdk.management_command import command_problem
from djambda_common.names import ENQUEUE_COMMAND
from djambda_common.schedule_expressions import ExpressionError, Rate, canonical, parse

MAX_SCHEDULES = 50
"""One resource each, of the 500 that a stack can have."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html"""
MAX_EXPRESSION = 256
"""https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html"""
NO_ZONES = {"Factory", "localtime"}
"""Names in a machine's database of time zones that are not zones."""
TASK = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
EXAMPLE = '{run = "clearsessions", at = "cron(0 3 * * ? *)", zone = "Europe/Warsaw"}'


@dataclass(frozen=True)
class ProjectSchedule:
    """A management command (`run`) or a task, an expression, and the time zone of cron(...)."""

    name: str
    at: str
    run: str = ""
    task: str = ""
    zone: str = "UTC"

    @property
    def command(self) -> str:
        """The management command that runs."""
        return self.run or f"{ENQUEUE_COMMAND} {self.task}"

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, str]) -> Self:
        """Return the schedule of a valid table."""
        return cls(name, **{**table, "at": canonical(table["at"])})


KEYS = [field.name for field in fields(ProjectSchedule) if field.name != "name"]


def parse_schedules(value: object, source: str) -> tuple[tuple[ProjectSchedule, ...], list[str]]:
    """Return the schedules of a table, and all its problems, each with a remedy."""
    if not isinstance(value, dict):
        return (), [f"schedules in {source} must be a table with lines such as NAME = {EXAMPLE}"]
    problems = [problem for name, each in value.items() for problem in _problems(name, each)]
    if len(value) > MAX_SCHEDULES:
        problems.append(
            f"schedules in {source} has {len(value)} lines; at most {MAX_SCHEDULES} are possible. "
            "Run several commands from one management command."
        )
    if problems:
        return (), problems
    return tuple(ProjectSchedule.from_table(name, table) for name, table in value.items()), []


def _problems(name: str, table: Any) -> Iterator[str]:
    """Yield the problems of one schedule."""
    if not NAME.fullmatch(name):
        yield (
            f"schedules: {name!r} is not a valid name. Use up to 64 letters, digits, "
            "hyphens and underscores, and begin with a letter or digit."
        )
    where = f"schedules.{name}"
    if not isinstance(table, dict):
        yield (
            f"{where} must be a table such as {EXAMPLE}, not {table!r}. A line that is no "
            "schedule belongs above the table of schedules."
        )
        return
    unknown = sorted(table.keys() - KEYS)
    for key in unknown:
        matches = difflib.get_close_matches(key, KEYS, n=1)
        hint = f"did you mean {matches[0]}?" if matches else f"the keys are {', '.join(KEYS)}"
        yield f"{key} is not a key of {where}: {hint}"
    texts = {key: value for key, value in table.items() if key in KEYS}
    for key in [key for key, value in texts.items() if not (isinstance(value, str) and value)]:
        yield f"{key} in {where} must be text, not {texts.pop(key)!r}"
        table = {**table, key: "invalid"}  # It is not missing.
    if len({"run", "task"} & table.keys()) != 1 and not unknown:
        yield f"{where} needs either run (a management command) or task (the path of a task)"
    if "at" not in table and not unknown:
        yield f'{where} has no at. Write, e.g., at = "cron(0 3 * * ? *)"'
    yield from _text_problems(where, texts)


def _text_problems(where: str, texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the problems of values that are texts."""
    if "run" in texts and (problem := command_problem(texts["run"])):
        yield f"run in {where} {problem}"
    if "task" in texts and not TASK.fullmatch(texts["task"]):
        yield (
            f"task in {where} is not the path of a task, {texts['task']!r}: write its module and "
            'its name, e.g. "polls.tasks.close_polls"'
        )
    expression = texts.get("at", "")
    if expression and (problem := expression_problem(expression)):
        yield f"at in {where} is not valid, {expression!r}: {problem}"
    if "zone" in texts and (problem := zone_problem(texts["zone"], expression)):
        yield f"zone in {where} is not valid, {texts['zone']!r}: {problem}"


def expression_problem(text: str) -> str:
    """Return why a text is not an expression of a recurring schedule, or ""."""
    if text.strip().startswith("at("):
        return (
            "a project's schedules are recurring. To run a command once, now: djambda manage. "
            "To run it later: a task with run_after"
        )
    try:
        parse(text)
    except ExpressionError as error:
        return str(error)
    length = len(canonical(text))
    if length > MAX_EXPRESSION:
        return (
            f"it has {length} characters, and Scheduler accepts {MAX_EXPRESSION}. Write ranges and "
            "steps, such as 1-5 and 0/15, instead of lists, or several schedules"
        )
    return ""


def zone_problem(zone: str, expression: str) -> str:
    """Return why a text is not a time zone for an expression, or ""."""
    zones = zoneinfo.available_timezones() - NO_ZONES
    if zone not in zones:
        nearest = next((name for name in zones if name.lower() == zone.lower()), None)
        matches = [nearest] if nearest else difflib.get_close_matches(zone, zones, n=1)
        hint = f"did you mean {matches[0]}?" if matches else "use a name such as Europe/Warsaw"
        return f"no time zone of the IANA database has this name; {hint}"
    if not expression_problem(expression) and isinstance(parse(expression), Rate):
        return "a rate has no time of day. Remove zone, or use cron(...)"
    return ""
