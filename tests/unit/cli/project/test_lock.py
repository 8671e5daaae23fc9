"""The lock of a project that has none, in its state folder."""

from pathlib import Path

import pytest

from awscdk.discovery import Project
from djambda_cli.errors import CliError
from djambda_cli.project.lock import update_lock, with_absolute_path
from tests.unit.cli.project.checkouts import Checkout


@pytest.fixture
def project(checkout: Checkout) -> Project:
    """Return a project outside a checkout; its index has the packages of the runtime."""
    for name, version in (
        *(("django", "6.1.4"), ("django_storages", "1.14.6")),
        *(("psycopg2_binary", "2.9.13"), ("pybase64", "1.5.1")),
    ):
        checkout.wheel(name, version, {f"{name}/__init__.py": ""})
        if "_" in name:
            index = checkout.project / "index"
            (index / name.replace("_", "-")).symlink_to(index / name)
    root, state = checkout.project, checkout.root / ".djambda"
    state.mkdir()
    return Project(root, checkout.requirements, state / "requirements.lock", state / "layer")


def update(project: Project) -> list[str] | None:
    return update_lock(project, project.lock.parent)


def test_changes_are_those_of_the_packages(checkout: Checkout, project: Project) -> None:
    checkout.wheel("tzdata", "2026.3", {"tzdata/__init__.py": ""})
    checkout.require("django>=6.1.3,<6.1.4", "tzdata ; sys_platform == 'win32'")
    assert set(update(project) or ()) == {
        *("django-storages 1.14.6 (new)", "psycopg2-binary 2.9.13 (new)", "pybase64 1.5.1 (new)"),
    }
    assert update(project) is None

    checkout.require("django>=6.1.3", "tzdata ; sys_platform == 'win32'")
    assert update(project) == []  # The locked version still fits.

    checkout.require("django>=6.1.4")
    assert update(project) == ["django 6.1.3 → 6.1.4"]


def test_another_python_updates_the_lock(checkout: Checkout, project: Project) -> None:
    checkout.require("django==6.1.3 ; python_version < '3.13'", "pybase64 ; python_version > '3'")
    checkout.write(".python-version", "3.12\n")

    assert update(project)
    assert "django==6.1.3" in project.lock.read_text()
    assert "for Python 3.12" in project.lock.read_text().splitlines()[0]


def test_lock_remains_if_the_requirements_cannot_be_resolved(
    checkout: Checkout, project: Project
) -> None:
    update(project)
    before = project.lock.read_bytes()
    checkout.require("django==7.0")

    with pytest.raises(CliError):
        update(project)

    assert project.lock.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--find-links ./wheels", "--find-links {folder}/wheels"),
        ("--find-links=wheels", "--find-links={folder}/wheels"),
        ("-f wheels", "-f {folder}/wheels"),
        ("--index-url https://example.com/simple", "--index-url https://example.com/simple"),
        ("--pre", "--pre"),
    ],
)
def test_relative_paths_become_absolute(tmp_path: Path, option: str, expected: str) -> None:
    (tmp_path / "wheels").mkdir()

    assert with_absolute_path(option, tmp_path) == expected.format(folder=tmp_path.resolve())
