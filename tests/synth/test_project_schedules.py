"""The table of schedules in a project's configuration."""

from pathlib import Path

import pytest

from awscdk.project_file import ProjectError, read_project_file
from awscdk.project_schedules import MAX_SCHEDULES, ProjectSchedule

DAILY = 'at = "cron(0 3 * * ? *)"'
MANY = ",".join(["1"] * 60)


def read(folder: Path, lines: str) -> tuple[ProjectSchedule, ...]:
    (folder / "djambda.toml").write_text(f"[schedules]\n{lines}\n")
    file = read_project_file(folder)
    assert file
    return file.schedules


def test_schedules(tmp_path: Path) -> None:
    clear, close = read(
        tmp_path,
        f"""
clearsessions = {{run = "clearsessions -v 2", {DAILY}, zone = "Europe/Warsaw"}}
close-polls = {{task = "polls.tasks.close_polls", at = "rate(15 minutes)"}}
""",
    )

    assert (clear.name, clear.command) == ("clearsessions", "clearsessions -v 2")
    assert (clear.at, clear.zone) == ("cron(0 3 * * ? *)", "Europe/Warsaw")
    assert (close.name, close.command) == ("close-polls", "enqueue_task polls.tasks.close_polls")
    assert (close.at, close.zone) == ("rate(15 minutes)", "UTC")


@pytest.mark.parametrize(
    ("at", "canonical"),
    [
        (" cron( 0/15  8-17 ?\\n * mon-fri *) ", "cron(0/15 8-17 ? * MON-FRI *)"),
        ("rate( 5  minutes )", "rate(5 minutes)"),
    ],
)
def test_expression_has_the_form_that_scheduler_documents(
    tmp_path: Path, at: str, canonical: str
) -> None:
    [schedule] = read(tmp_path, f'a = {{run = "check", at = "{at}"}}')

    assert schedule.at == canonical


def test_schedules_in_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.djambda.schedules]\nclear = {{run = "clearsessions", {DAILY}}}\n'
    )

    file = read_project_file(tmp_path)

    assert file
    assert [schedule.name for schedule in file.schedules] == ["clear"]


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (f"\"a b\" = {{run = 'check', {DAILY}}}", "hyphens and underscores"),
        (f"{'a' * 65} = {{run = 'check', {DAILY}}}", "up to 64"),
        (f"-a = {{run = 'check', {DAILY}}}", "begin with a letter or digit"),
        ('a = "check"', "must be a table such as {run"),
        ('tasks = "direct"', "above the table of schedules"),
        (f"a = {{{DAILY}}}", "either run"),
        (f"a = {{run = 'check', task = 'polls.tasks.close', {DAILY}}}", "either run"),
        ("a = {run = 'check'}", "has no at"),
        (f"a = {{run = 3, {DAILY}}}", "run in schedules.a must be text, not 3"),
        (f"a = {{run = '', {DAILY}}}", "must be text"),
        (f"a = {{runs = 'check', {DAILY}}}", "did you mean run?"),
        (f"a = {{run = 'check', timezone = 'UTC', {DAILY}}}", "did you mean zone?"),
        (f"a = {{run = 'python manage.py check', {DAILY}}}", "only the command"),
        (f"a = {{task = 'close_polls', {DAILY}}}", "polls.tasks.close_polls"),
        ("a = {run = 'check', at = '0 3 * * *'}", "write cron(0 3 * * ? *)"),
        ("a = {run = 'check', at = 'at(2026-11-26T10:31:00)'}", "recurring"),
        (f"a = {{run = 'check', zone = 'Europe/Warschau', {DAILY}}}", "Europe/Warsaw"),
        (f"a = {{run = 'check', zone = 'europe/warsaw', {DAILY}}}", "Europe/Warsaw"),
        (f"a = {{run = 'check', zone = '../etc', {DAILY}}}", "IANA"),
        (f"a = {{run = 'check', zone = 'localtime', {DAILY}}}", "IANA"),
        (f"a = {{run = 'check', at = 'cron({MANY} {MANY} {MANY} * ? *)'}}", "ranges"),
        ("a = {run = 'check', at = 'rate(1 day)', zone = 'UTC'}", "Remove zone"),
    ],
)
def test_mistake_is_explained(tmp_path: Path, line: str, remedy: str) -> None:
    with pytest.raises(ProjectError) as error:
        read(tmp_path, line)

    assert remedy in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "djambda.toml").write_text(
        "python = '3.1'\n[schedules]\na = {run = 'check'}\n"
        "b = {task = 'x', at = 'rate(5 minute)'}\n"
    )

    with pytest.raises(ProjectError) as error:
        read_project_file(tmp_path)

    problems = str(error.value).splitlines()
    assert len(problems) == 4
    for number, name in enumerate(["3.1", "schedules.a", "task in schedules.b", "rate(5 minutes)"]):
        assert name in problems[number]


def test_list_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "djambda.toml").write_text("schedules = ['clearsessions']\n")

    with pytest.raises(ProjectError, match="must be a table"):
        read_project_file(tmp_path)


def test_number_is_limited(tmp_path: Path) -> None:
    lines = (f"s{number} = {{run = 'check', {DAILY}}}" for number in range(MAX_SCHEDULES + 1))

    with pytest.raises(ProjectError, match=f"at most {MAX_SCHEDULES}"):
        read(tmp_path, "\n".join(lines))
