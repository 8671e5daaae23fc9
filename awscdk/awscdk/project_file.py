"""The project's own configuration: `djambda.toml`, or `[tool.djambda]` in `pyproject.toml`.

It overrides what `discovery.py` finds out, so most projects need none.
"""

import difflib
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from djambda_common.names import RELEASE_COMMANDS

FILE = "djambda.toml"
PYPROJECT = "pyproject.toml"
TABLE = "tool.djambda"


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
    groups: tuple[str, ...] = ()
    """Dependency groups to install in addition to the project's dependencies."""
    extras: tuple[str, ...] = ()
    """Extras of the project to install."""
    release: tuple[str, ...] = RELEASE_COMMANDS
    """The management commands that run in a new version before it goes live."""


def read_project_file(folder: Path) -> ProjectFile | None:
    """Return the configuration in `folder`, or None if it has none.

    Raises `ProjectError` with every unknown key and wrong type.
    """
    separate, pyproject = folder / FILE, folder / PYPROJECT
    table = _read(pyproject).get("tool", {}).get("djambda")
    if separate.is_file():
        if table is not None:
            raise ProjectError(
                f"Both {FILE} and [{TABLE}] in {PYPROJECT} configure djambda. Keep one of them."
            )
        return _parse(_read(separate), FILE)
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ProjectError(f"tool.djambda in {PYPROJECT} is not a table. Write [{TABLE}].")
    return _parse(table, f"[{TABLE}] in {PYPROJECT}")


def _read(file: Path) -> dict[str, Any]:
    """Return the content of a TOML file; {} if it is missing. Raises `ProjectError`."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProjectError(f"{file.name} cannot be read: {error}") from None


def _parse(table: Mapping[str, Any], source: str) -> ProjectFile:
    types = get_type_hints(ProjectFile)
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in types:
            problems.append(f"{key} is not a key of {source}: {_suggestion(key)}")
        elif isinstance(types[key], UnionType) and isinstance(value, str) and value:
            values[key] = value
        elif get_args(types[key])[1] is Ellipsis and _is_list_of_strings(value):
            values[key] = tuple(value)
            problems += [
                f"{command!r} in release of {source} is not a command: {problem}"
                for command in value
                if key == "release" and (problem := _command_problem(command))
            ]
        else:
            expected = "text" if isinstance(types[key], UnionType) else "a list of texts"
            problems.append(f"{key} in {source} must be {expected}, not {value!r}")
    if problems:
        raise ProjectError("\n".join(problems))
    return ProjectFile(**values)


def _command_problem(command: str) -> str:
    """Return why a text is no management command, or ""."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        return str(error)
    if not words:
        return "it is empty"
    if words[0] in {"python", "python3", "manage.py", "./manage.py", "django-admin"}:
        return 'write only the command and its arguments, e.g. "createcachetable"'
    return ""


def _suggestion(key: str) -> str:
    names = [field.name for field in fields(ProjectFile)]
    if matches := difflib.get_close_matches(key, names, n=1):
        return f"did you mean {matches[0]}?"
    return f"the keys are {', '.join(names)}"


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
