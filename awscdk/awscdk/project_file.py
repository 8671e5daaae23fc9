"""The project's own configuration: `djambda.toml`, or `[tool.djambda]` in `pyproject.toml`.

It overrides what `discovery.py` finds out, so most projects need none.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_type_hints

from pathspec import GitIgnoreSpec

from awscdk.management_command import command_problem
from awscdk.project_schedules import ProjectSchedule, parse_schedules
from awscdk.variables import VARIABLES
from djambda_common.names import RELEASE_COMMANDS, TASK_BACKENDS
from djambda_common.variables import FACTS, problem_of

FILE = "djambda.toml"
PYPROJECT = "pyproject.toml"
TABLE = "tool.djambda"
SUPPORTED_PYTHONS = ("3.12", "3.13", "3.14")


class ProjectError(Exception):
    """The project cannot be deployed as it is; the message says why and what to change."""


@dataclass(frozen=True)
class ProjectFile:
    """The keys of the file, all of them optional.

    Paths are relative to the file's folder.
    """

    root: str | None = None
    """The folder that contains `manage.py`."""
    settings: str | None = None
    """The settings module, e.g. "config.settings.production"."""
    requirements: str | None = None
    """The requirements or lock file to install."""
    exclude: tuple[str, ...] = ()
    """Patterns, as in `.gitignore`, of files below the root that do not ship."""
    python: str | None = None
    """The Python that the project runs on, e.g. "3.12"."""
    groups: tuple[str, ...] = ()
    """Dependency groups to install in addition to the project's dependencies."""
    extras: tuple[str, ...] = ()
    """Extras of the project to install."""
    release: tuple[str, ...] = RELEASE_COMMANDS
    """The management commands that run in a new version before it goes live."""
    tasks: str | None = None
    """The backend of the project's tasks: "direct" or "queue"."""
    variables: tuple[str, ...] = ()
    """The project's names of facts about the deployment, e.g. "APP_KEY=SECRET_KEY"."""
    schedules: tuple[ProjectSchedule, ...] = ()
    """The commands and tasks that run on a schedule."""


def read_project_file(folder: Path) -> ProjectFile | None:
    """Return the configuration in `folder`, or None if it has none.

    Raises `ProjectError` with every unknown key and wrong type.
    """
    separate, pyproject = folder / FILE, folder / PYPROJECT
    table = read_toml(pyproject).get("tool", {}).get("djambda")
    if separate.is_file():
        if table is not None:
            raise ProjectError(
                f"Both {FILE} and [{TABLE}] in {PYPROJECT} configure djambda. Keep one of them."
            )
        return _parse(read_toml(separate), FILE)
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ProjectError(f"tool.djambda in {PYPROJECT} is not a table. Write [{TABLE}].")
    return _parse(table, f"[{TABLE}] in {PYPROJECT}")


def read_toml(file: Path) -> dict[str, Any]:
    """Return the content of a TOML file; {} if it is missing. Raises `ProjectError`."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        hint = '. Put texts in quotes: tasks = "direct"' * str(error).startswith("Invalid value")
        raise ProjectError(f"{file.name} cannot be read: {error}{hint}") from None


def _parse(table: Mapping[str, Any], source: str) -> ProjectFile:
    types = get_type_hints(ProjectFile)
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in types:
            problems.append(f"{key} is not a key of {source}: {_suggestion(key)}")
            continue
        if key == "schedules":
            values[key], found = parse_schedules(value, source)
            problems += found
            continue
        is_text = isinstance(types[key], UnionType)
        if not (isinstance(value, str) and value if is_text else _is_list_of_strings(value)):
            expected = "text" if is_text else "a list of texts"
            problems.append(f"{key} in {source} must be {expected}, not {value!r}")
            continue
        values[key] = value if is_text else tuple(value)
        problems += [
            f"{item!r} in {key} of {source} {problem}"
            for item in ([value] if is_text else value)
            if key in CHECKS and (problem := CHECKS[key](item))
        ]
    if problems:
        raise ProjectError("\n".join(problems))
    return ProjectFile(**values)


def _python_problem(version: str) -> str:
    """Return why a text is not a version of Python that projects can run on, or ""."""
    if version in SUPPORTED_PYTHONS:
        return ""
    return f"is not a supported version: {', '.join(SUPPORTED_PYTHONS)}"


def _tasks_problem(backend: str) -> str:
    """Return why a text is not a backend of tasks, or ""."""
    if backend in TASK_BACKENDS:
        return ""
    return f"is not a backend: {', '.join(TASK_BACKENDS)}"


def _variable_problem(text: str) -> str:
    """Return why a text is not a variable with a fact about the deployment, or ""."""
    name, _, fact = text.partition("=")
    if problem := problem_of(name):
        return f"is not possible: {problem}"
    if fact not in FACTS:
        return f'must be NAME=FACT, e.g. "APP_KEY=SECRET_KEY". The facts: {", ".join(FACTS)}'
    return ""


def _pattern_problem(pattern: str) -> str:
    """Return why a text is not a pattern of `.gitignore`, or ""."""
    if not pattern.strip() or pattern.startswith("#"):
        return "is not a pattern: it selects nothing"
    try:
        GitIgnoreSpec.from_lines([pattern])
    except ValueError as error:
        return f"is not a pattern: {error}"
    return ""


CHECKS: dict[str, Callable[[str], str]] = {
    "exclude": _pattern_problem,
    "python": _python_problem,
    "release": command_problem,
    "tasks": _tasks_problem,
    "variables": _variable_problem,
}
"""For the keys that accept only some texts: return why a text is none of them, or ""."""


def _suggestion(key: str) -> str:
    names = [field.name for field in fields(ProjectFile)]
    if matches := difflib.get_close_matches(key, names, n=1):
        return f"did you mean {matches[0]}?"
    words = set(re.split("[_-]", key.upper()))
    nearest = max(VARIABLES, key=lambda name: len(words & set(name.split("_"))))
    if words & set(nearest.split("_")):
        return f"it belongs to a deployment, so set {nearest} in .variables"
    return f"the keys are {', '.join(names)}"


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
