"""Choose the Python that the Django function runs on, from what the project requires.

Lambda has a runtime for each minor version and applies its patches. The helper functions run on
djambda's own version.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from awscdk.project_file import FILE, PYPROJECT, SUPPORTED_PYTHONS, ProjectError, read_toml

DEFAULT_PYTHON = "3.13"
PATCHES = range(100)
PINNED = re.compile(r"(?:c?python)?[-@]?(\d+(?:\.\d+)?)")
"""The version in `.python-version` (pyenv, uv, Heroku) and in Heroku's `runtime.txt`."""


@dataclass(frozen=True)
class Requirement:
    """The versions of Python that a project accepts: a specifier and the place that has it."""

    source: str
    text: str

    def allows(self, version: str) -> bool:
        """Return whether a patch of this minor version is accepted. Raises `ProjectError`."""
        try:
            sets = [SpecifierSet(_standard(each)) for each in self.text.split("|") if each]
        except ValueError:
            raise ProjectError(
                f"{self.source} is not a requirement of Python versions: {self.text!r}"
            ) from None
        return not sets or any(
            specifiers.contains(f"{version}.{patch}", prereleases=True)
            for specifiers in sets
            for patch in PATCHES
        )


def choose(requirements: Iterable[Requirement]) -> str:
    """Return the default if all requirements allow it, else the newest supported version.

    Raises `ProjectError` if they allow none.
    """
    requirements = list(requirements)
    allowed = [
        version
        for version in SUPPORTED_PYTHONS
        if all(requirement.allows(version) for requirement in requirements)
    ]
    if not allowed:
        *others, last = SUPPORTED_PYTHONS
        found = "\n".join(f"  {each.source}: {each.text}" for each in requirements)
        raise ProjectError(
            f"The project requires a Python that djambda does not support:\n{found}\n"
            f"Lambda runs it on {', '.join(others)} or {last}. Change what the project requires, "
            f'or override it in {FILE}: python = "{DEFAULT_PYTHON}"'
        )
    return DEFAULT_PYTHON if DEFAULT_PYTHON in allowed else allowed[-1]


def requirements_of(folders: Iterable[Path], lock: Path) -> list[Requirement]:
    """Return the requirements of a project in these folders, the nearest first, and of its lock.

    Raises `ProjectError` if a file cannot be read.
    """
    found: dict[str, Requirement] = {}
    for folder in folders:
        for requirement in _in_folder(folder):
            found.setdefault(requirement.source, requirement)
    for requirement in _in_lock(lock):
        found.setdefault(requirement.source, requirement)
    return list(found.values())


def applies(marker: Marker | None, python: str) -> bool:
    """Return whether a package with this marker is for Lambda, on either architecture."""
    return marker is None or any(
        marker.evaluate(
            {
                "implementation_name": "cpython",
                "os_name": "posix",
                "platform_machine": machine,
                "platform_python_implementation": "CPython",
                "platform_system": "Linux",
                "python_full_version": f"{python}.0",
                "python_version": python,
                "sys_platform": "linux",
            }
        )
        for machine in ("x86_64", "aarch64")
    )


def _in_folder(folder: Path) -> Iterator[Requirement]:
    for name in (".python-version", "runtime.txt"):
        if version := _pinned(folder / name):
            yield Requirement(name, version)
    pyproject = read_toml(folder / PYPROJECT)
    if text := pyproject.get("project", {}).get("requires-python"):
        yield Requirement(f"requires-python in {PYPROJECT}", str(text))
    poetry = pyproject.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python")
    if text := poetry.get("version") if isinstance(poetry, dict) else poetry:
        yield Requirement(f"tool.poetry.dependencies in {PYPROJECT}", str(text))
    yield from _pipenv(read_toml(folder / "Pipfile").get("requires", {}), "Pipfile")


def _in_lock(lock: Path) -> Iterator[Requirement]:
    """Yield the versions that a lock was resolved for."""
    text = lock.read_text(encoding="utf-8", errors="replace") if lock.is_file() else ""
    if lock.name == "Pipfile.lock":
        try:
            yield from _pipenv(json.loads(text).get("_meta", {}).get("requires", {}), lock.name)
        except (ValueError, AttributeError):
            raise ProjectError(f"{lock.name} cannot be read: it is not JSON.") from None
        return
    key = {"uv.lock": "requires-python", "poetry.lock": "python-versions"}.get(lock.name)
    _, _, metadata = text.rpartition("\n[metadata]")  # In poetry.lock, packages also have the key.
    if key and (match := re.search(rf'^{key} = "(.*)"$', metadata, re.MULTILINE)):
        yield Requirement(lock.name, match[1])


def _pipenv(requires: dict[str, object], source: str) -> Iterator[Requirement]:
    version = requires.get("python_version") or requires.get("python_full_version")
    if version and (match := PINNED.match(str(version))):
        yield Requirement(source, match[1])


def _pinned(file: Path) -> str | None:
    """Return the version that a file names; None if it names something else, such as PyPy."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return None
    match = PINNED.match(lines[0]) if lines else None
    return match[1] if match else None


def _standard(text: str) -> str:
    """Return a specifier of Poetry, such as `^3.12`, as a standard one.

    https://python-poetry.org/docs/dependency-specification/
    """
    parts = re.findall(r"[<>=!~^]*\s*[^\s,<>=!~^]+", text)
    return ",".join(map(_standard_part, parts))


def _standard_part(part: str) -> str:
    operator, version = re.fullmatch(r"([<>=!~^]*)\s*(.*)", part).groups()  # type: ignore[union-attr]
    numbers = version.split(".")
    if operator == "^":
        return f">={version},<{int(numbers[0]) + 1}"
    if operator == "~":
        upper = f"{numbers[0]}.{int(numbers[1]) + 1}" if numbers[1:] else f"{int(numbers[0]) + 1}"
        return f">={version},<{upper}"
    if operator:
        return f"{operator}{version}"
    return "" if version == "*" else f"=={version}" + ".*" * (not version.endswith("*"))
