"""Lock the project's packages: all of them with their hashes, in one file that the layer installs.

In the checkout, people edit `django/requirements.txt`, and the lock is next to it. Any other
project has its lock in the state folder: exported from the lock file that the project has, or
resolved from its requirements, and completed with the packages of the runtime.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from awscdk.discovery import Project
from awscdk.project import fingerprint, requirement_lines
from awscdk.python_version import DEFAULT_PYTHON
from djambda_cli.errors import CliError
from djambda_cli.project.exports import export, is_lock, with_absolute_paths
from djambda_cli.project.requirements import Target, short_name, uv_pip
from djambda_cli.project.runtime_packages import (
    complete,
    for_lambda,
    logical_lines,
    pinned,
    without,
)


def update_lock(project: Project, work: Path) -> list[str] | None:
    """Update the project's lock if its requirements have changed.

    Return the changed packages, as in "django 6.1.2 → 6.1.3", or None if it was not updated. Those
    of a first lock are the packages that the project itself does not have.

    `work` is a folder for temporary files. Raises `CliError`, and then the lock file remains
    unchanged.
    """
    requirements, lock_file = project.requirements, project.lock
    if not requirements.exists():
        raise CliError(
            f"{short_name(requirements)} is missing. Create it with the packages that the project "
            "needs, one per line: Django==6.1.3"
        )
    advice = ": commit both, change only that" if project.in_checkout else ""
    python = "" if project.python == DEFAULT_PYTHON else f" for Python {project.python}"
    first_line = (
        f"# Made by `djambda layer` from {requirements.name}{python}{advice}. "
        f"{fingerprint(project)}\n"
    )
    if lock_file.exists() and lock_file.read_text().startswith(first_line):
        return None
    if project.in_checkout and os.environ.get("CI", "").lower() in {"1", "true"}:
        raise CliError(
            f"{short_name(lock_file)} is outdated: {short_name(requirements)} has changed since. "
            "CI does not update it. Run `djambda layer` on your machine and commit the lock file."
        )
    new_lock = work / "requirements.new.lock"
    before = _versions(lock_file)
    if is_lock(requirements):
        packages = export(project)
    else:
        # uv keeps the versions that it finds in the output file if they still fit.
        lines = requirement_lines(lock_file)
        new_lock.write_text("".join(f"{line}\n" for line in lines if not _is_option(line)))
        packages = _resolve(project, new_lock)
    if not project.in_checkout:
        packages = for_lambda(packages, project.python)
        before = before or dict(pinned(packages))
        packages = _completed(project, packages, work)
    changes = _changes(before, dict(pinned(packages)))
    new_lock.write_text(first_line + packages)
    new_lock.replace(lock_file)
    return list(changes)


def _versions(lock_file: Path) -> dict[str, str]:
    return dict(pinned(lock_file.read_text())) if lock_file.exists() else {}


def _changes(old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    """Yield the packages whose locked version differs."""
    for name in sorted(old | new):
        if name not in old:
            yield f"{name} {new[name]} (new)"
        elif name not in new:
            yield f"{name} (removed)"
        elif old[name] != new[name]:
            yield f"{name} {old[name]} → {new[name]}"


def _resolve(project: Project, output: Path) -> str:
    """Return the packages of a project that has no lock file, with their hashes."""
    requirements, folder = project.requirements, _folder_of_paths(project)
    selected = [f"--group={name}" for name in project.file.groups]
    if requirements.name == "pyproject.toml":
        selected += [f"--extra={name}" for name in project.file.extras]
    uv_pip(
        [
            "compile",
            os.path.relpath(requirements, folder),
            "--output-file",
            str(output),
            "--universal",
        ]
        + ["--generate-hashes", "--no-header", *selected],
        folder,
        f"Could not lock {short_name(requirements)}. Correct the lines named above.",
        short_name(requirements),
        Target(project.python),
    )
    options = [
        f"{line if project.in_checkout else with_absolute_path(line, requirements.parent)}\n"
        for line in requirement_lines(requirements)
        if _is_option(line)
    ]
    if project.in_checkout:
        packages = re.sub(r"^(-e|--editable)[ =]", "", output.read_text(), flags=re.MULTILINE)
    else:
        packages = with_absolute_paths(output.read_text(), folder)
    return "".join([*options, packages])


def _folder_of_paths(project: Project) -> Path:
    """Return the folder to which local packages in the project's requirements are relative.

    For pip, it is the folder in which developers run it, usually the project's root.
    """
    requirements = project.requirements
    paths = [
        match[1] or match[2]
        for line in requirement_lines(requirements)
        if (match := re.match(r"(?:-e|--editable)[ =](\S+)|(\.{1,2}/\S+)", line))
    ]
    folders = (requirements.parent, project.root, requirements.parent.parent)
    counts = {folder: sum((folder / path).exists() for path in paths) for folder in folders}
    return max(folders, key=lambda folder: counts[folder])


def _completed(project: Project, packages: str, work: Path) -> str:
    """Return the locked packages for Lambda with those that the runtime needs."""
    completion = complete(packages)
    if completion.conflicts:
        raise CliError(
            f"{short_name(project.requirements)} has {'; '.join(completion.conflicts)}. Update "
            "the package, or remove it: djambda adds it."
        )
    kept = without(packages, completion.removed)
    if not completion.added:
        return kept
    names = ("constraints.txt", "runtime.txt", "runtime.lock")
    constraints, added, output = (work / name for name in names)
    # A constraint may have neither hashes nor extras, and no folder or repository.
    lines = [f"{name}=={version}\n" for name, version in pinned(kept)]
    constraints.write_text("".join(lines))
    options = filter(_is_option, logical_lines(kept))
    added.write_text("".join(f"{line}\n" for line in (*options, *completion.added)))
    output.unlink(missing_ok=True)
    uv_pip(
        ["compile", str(added), "--constraints", str(constraints), "--output-file", str(output)]
        + ["--generate-hashes", "--no-header", "--no-annotate", "--universal"],
        work,
        f"Could not add the packages that djambda needs ({', '.join(completion.added)}) to those "
        f"of {short_name(project.requirements)}: see above. Change the version of the package "
        "that conflicts.",
        short_name(project.requirements),
        Target(project.python),
    )
    added_lines = for_lambda(output.read_text(), project.python)
    new = without(added_lines, frozenset(name for name, _ in pinned(kept)))
    for file in (constraints, added, output):
        file.unlink()
    return kept + new


def with_absolute_path(option: str, folder: Path) -> str:
    """Return an option of a file in `folder`, such as `--find-links ./wheels`, for another file."""
    match = re.fullmatch(r"(-\S+?)([ =])(.+)", option)
    if match and (folder / match[3]).exists():
        return f"{match[1]}{match[2]}{(folder / match[3]).resolve()}"
    return option


def _is_option(line: str) -> bool:
    """Return whether a line is an option such as an index; included files are resolved already."""
    return bool(re.match("-(?!r|c|e|-requirement|-constraint|-editable)", line))
