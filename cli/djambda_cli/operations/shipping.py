"""The project's files that ship to Lambda, and those that do not, for people and scripts."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from awscdk.project_file import ProjectError
from awscdk.selection import CACHE, DEVELOPMENT, REPOSITORY, Selection, select
from awscdk.tree import shown
from djambda_cli.errors import CliError

COMMAND = "`djambda synth --files`"
NAMED = 6
"""The number of files and folders that the note names."""


def load_selection(root: Path, exclude: Sequence[str] = ()) -> Selection:
    """Select the files that ship. Raises `CliError`."""
    try:
        return select(root, exclude)
    except ProjectError as error:
        raise CliError(str(error)) from None


def left_out_note(selection: Selection, project: Path) -> str:
    """Return what does not ship in one line, without caches and development files; or ""."""
    expected = {CACHE, DEVELOPMENT, REPOSITORY}
    notable = [path for path, reason in selection.left_out.items() if reason not in expected]
    if not notable:
        return ""
    names = [_described(path, project) for path in notable[:NAMED]]
    if len(notable) > NAMED:
        names.append(f"{len(notable) - NAMED} more")
    return f"Not shipped: {', '.join(names)}. Details: {COMMAND}"


def render_files(selection: Selection, project: Path) -> str:
    """Return all files, one a line, those that do not ship with the reason."""
    left_out = [
        f"  {_described(path, project)}: {reason}" for path, reason in selection.left_out.items()
    ]
    shipped = [f"  {_name(path, project)}" for path in selection.files]
    return "\n".join(["Shipped", *shipped, "", "Not shipped", *left_out])


def files_as_json(selection: Selection) -> dict[str, Any]:
    """Return all files for scripts."""
    left_out = [
        {"path": str(path), "reason": reason} for path, reason in selection.left_out.items()
    ]
    return {"shipped": list(map(str, selection.files)), "not_shipped": left_out}


def _name(path: PurePosixPath, project: Path) -> str:
    return shown(project, path).partition("/")[2]


def _described(path: PurePosixPath, project: Path) -> str:
    """Return a path, for a folder with the number of its files."""
    folder = project / path
    if folder.is_symlink() or not folder.is_dir():
        return _name(path, project)
    count = sum(len(files) for _, _, files in folder.walk())
    return f"{_name(path, project)} ({count} file{'s' * (count != 1)})"
