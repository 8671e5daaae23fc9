"""Checks of the commands and tasks of releases and schedules."""

import pytest

from awscdk.project_file import ProjectFile
from awscdk.project_schedules import ProjectSchedule
from djambda_cli.operations.checks_commands import check_commands

FACTS = {
    "commands": ["clearsessions", "collectstatic", "help", "migrate"],
    "task_problems": {"polls.tasks.close": "it cannot be imported (no such module)"},
}


def schedule(**what: str) -> ProjectSchedule:
    return ProjectSchedule("nightly", "rate(1 day)", **what)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (ProjectFile(release=("migrat --no-input",)), "Did you mean migrate?"),
        (ProjectFile(schedules=(schedule(run="clear_sessions"),)), "schedules.nightly"),
        (ProjectFile(schedules=(schedule(run="clear_sessions"),)), "Did you mean clearsessions?"),
        (ProjectFile(schedules=(schedule(task="polls.tasks.close"),)), "no such module"),
    ],
)
def test_missing_one_is_a_problem(file: ProjectFile, text: str) -> None:
    [finding] = check_commands(file, FACTS)

    assert text in f"{finding.message}\n{finding.action}"


def test_existing_ones_are_not_mentioned() -> None:
    schedules = (schedule(run="clearsessions -v 2"), schedule(task="polls.tasks.count"))

    assert list(check_commands(ProjectFile(schedules=schedules), FACTS)) == []


def test_project_that_does_not_start_is_not_checked() -> None:
    assert list(check_commands(ProjectFile(release=("nothing",)), {})) == []
