"""Find the file that lists a project's packages, and the folders that belong to the project."""

from collections.abc import Iterator
from pathlib import Path

from awscdk.project_file import PYPROJECT, ProjectError, ProjectFile, read_toml

PRODUCTION = ("production", "prod")
"""Names of settings modules in a `settings` package, and of requirements files."""
REQUIREMENTS = (
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    *(f"requirements/{name}.txt" for name in PRODUCTION),
    "requirements.txt",
)
"""The files that list a project's packages, the most exact one first."""


def find_requirements(home: Path, root: Path, file: ProjectFile) -> Path:
    """Return the file that lists the project's packages.

    It may belong to a folder above, up to the repository's root, as in a workspace. Raises
    `ProjectError`.
    """
    if file.requirements is not None:
        named = home / file.requirements
        if not named.is_file():
            raise ProjectError(f"requirements = {file.requirements!r}: {named} does not exist.")
        return named
    folders = list(_up_to_repository(root))
    candidates = [folder / name for folder in folders for name in REQUIREMENTS]
    # A member of a workspace has a pyproject.toml, and its lock is in a folder above.
    pyprojects = {folder: read_toml(folder / PYPROJECT) for folder in folders}
    candidates += [
        folder / PYPROJECT
        for folder, content in pyprojects.items()
        if "dependencies" in content.get("project", {})
    ]
    if found := next(filter(Path.is_file, candidates), None):
        return found
    for folder, content in pyprojects.items():
        is_poetry = "poetry" in content.get("tool", {})
        if is_poetry or (folder / "Pipfile").is_file():
            tool, lock = ("poetry", "poetry.lock") if is_poetry else ("pipenv", "Pipfile.lock")
            raise ProjectError(f"{folder} has no {lock}. Create it: {tool} lock")
    names = ", ".join((*REQUIREMENTS, PYPROJECT))
    raise ProjectError(
        f"{root} has none of the files that list a project's packages: {names}. "
        "Create requirements.txt with one package per line, starting with Django."
    )


def folders_of_project(root: Path, requirements: Path) -> list[Path]:
    """Return the root and the folders above it in its repository, or up to the requirements."""
    folders = list(_up_to_repository(root))
    if not (folders[-1] / ".git").exists():
        last = folders.index(requirements.parent) if requirements.parent in folders else 0
        folders = folders[: last + 1]
    return folders


def _up_to_repository(folder: Path) -> Iterator[Path]:
    for candidate in (folder, *folder.parents):
        yield candidate
        if (candidate / ".git").exists():
            return
