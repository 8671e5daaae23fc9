"""The locked packages of a project, in the format of requirements files, from any tool's lock file.

Each tool exports its own file, so nothing is resolved again. uv downloads Poetry and Pipenv for the
time of the export.
"""

import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from awscdk.discovery import Project
from awscdk.project_file import read_toml
from djambda_cli.errors import CliError
from djambda_cli.paths import tool
from djambda_cli.project.runtime_packages import logical_lines

POETRY = (
    *("tool", "run", "--from", "poetry==2.5.1", "--with", "poetry-plugin-export==1.10.1"),
    *("poetry", "export", "--format", "requirements.txt"),
)
PIPENV = ("tool", "run", "pipenv==2026.10.3", "requirements", "--hash")
UV = (
    *("export", "--frozen", "--format", "requirements-txt", "--no-default-groups"),
    *("--no-editable", "--no-emit-project", "--no-header", "--no-annotate"),
)
MARKERS = {
    *("implementation_name", "implementation_version", "os_name", "platform_machine"),
    *("platform_python_implementation", "platform_release", "platform_system"),
    *("platform_version", "python_full_version", "python_version", "sys_platform"),
}
"""The keys of a package in a Pipfile that are fields of markers."""
LOCKS = {"uv.lock", "poetry.lock", "Pipfile.lock"}


def is_lock(requirements: Path) -> bool:
    """Return whether a file is another tool's lock file."""
    return requirements.name in LOCKS


def export(project: Project) -> str:
    """Return the locked packages that a deployed project needs, one per line, with their hashes.

    Local packages are absolute paths. Raises `CliError` with the tool's output.
    """
    lock = project.requirements
    groups, extras = project.file.groups, project.file.extras
    match lock.name:
        case "uv.lock":
            package = _package_name(project.root)
            member = package and project.root.resolve() != lock.parent.resolve()
            arguments = [*UV, *(["--package", package] if member and package else [])]
            arguments += [f"--group={name}" for name in groups]
            arguments += [f"--extra={name}" for name in extras]
            text = _run(arguments, lock)
        case "poetry.lock":
            arguments = [*POETRY, *(f"--with={name}" for name in groups)]
            text = _run([*arguments, *(f"--extras={name}" for name in extras)], lock)
        case _:
            names = ["--categories", ",".join(("packages", *groups))] if groups else []
            pipfile = lock.with_name("Pipfile")
            text = _run([*PIPENV, *names], lock, PIPENV_PIPFILE=str(pipfile))
            text = with_markers(text, read_toml(pipfile))
    return with_absolute_paths(text, lock.parent)


def _package_name(folder: Path) -> str | None:
    """Return the name in a folder's `pyproject.toml`, if there is one."""
    try:
        data = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    name = data.get("project", {}).get("name")
    return str(name) if name else None


def _run(arguments: list[str], lock: Path, **variables: str) -> str:
    """Return the output of uv, or of a tool that uv runs. Raises `CliError` with its errors."""
    completed = subprocess.run(
        [tool("uv"), *arguments],
        cwd=lock.parent,
        env=_environment(os.environ) | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        raise CliError(
            f"Could not read {lock}: see above. Update it with the tool that wrote it, then try "
            "again.",
            output=completed.stderr,
        )
    return completed.stdout


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without djambda's own virtual environment."""
    return {name: value for name, value in environ.items() if name != "VIRTUAL_ENV"}


def with_markers(lock: str, pipfile: Mapping[str, Any]) -> str:
    """Return the lock of Pipenv with the markers of packages for other platforms than its own.

    Pipenv locks neither their versions nor their markers.
    https://pipenv.pypa.io/en/latest/specifiers.html
    """
    markers: dict[str, str] = {}
    for packages in pipfile.values():
        for name, entry in packages.items() if isinstance(packages, dict) else ():
            fields = entry.items() if isinstance(entry, dict) else ()
            parts = [
                text if key == "markers" else f"{key} {text}"
                for key, text in fields
                if key == "markers" or key in MARKERS
            ]
            markers[canonicalize_name(name)] = " and ".join(f"({part})" for part in parts)
    return "".join(
        f"{line} ; {markers[line]}\n" if markers.get(line) else f"{line}\n"
        for line in logical_lines(lock)
    )


def with_absolute_paths(lock: str, folder: Path) -> str:
    """Return a lock of a tool that ran in `folder`, with absolute paths of local packages."""
    lines = []
    for line in logical_lines(lock):
        requirement, separator, marker = re.sub(r"^(-e|--editable)[ =]", "", line).partition(" ;")
        location = requirement.rpartition(" @ ")[2].removeprefix("file:")
        path = folder / location
        if re.match(r"\.{0,2}/", location) or ("/" in location and path.exists()):
            requirement = str(path.resolve())
        lines.append(f"{requirement}{separator}{marker}\n")
    return "".join(lines)
