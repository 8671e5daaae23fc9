"""Checks of the commands and tasks that the project's configuration names.

On AWS, a missing one would fail the release, or each run of its schedule.
"""

import difflib
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from awscdk.project_file import ProjectFile
from djambda_cli.operations.findings import Finding, problem


def check_commands(file: ProjectFile, facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Return the findings about the commands of releases and schedules, and about their tasks.

    `facts` are those of a project that starts, {} of another one.
    """
    commands = facts.get("commands")
    if not commands:
        return
    named = [("release", command) for command in file.release]
    named += [(f"schedules.{each.name}", each.run) for each in file.schedules if each.run]
    for where, command in named:
        name = shlex.split(command)[0]
        if name not in commands:
            matches = difflib.get_close_matches(name, commands, n=1)
            hint = f"Did you mean {matches[0]}? " if matches else ""
            yield problem(
                f"{where}: the project has no management command {name}",
                f"{hint}Is its app in INSTALLED_APPS? To list the commands: python manage.py help",
            )
    for schedule in file.schedules:
        if reason := facts.get("task_problems", {}).get(schedule.task):
            yield problem(
                f"schedules.{schedule.name}: {schedule.task} is not a task: {reason}",
                "Write the path of a function that is decorated with @task.",
            )
