"""Folders with anything that a file system allows: it ships, or is named in one sentence."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from awscdk import code
from awscdk.discovery import Project
from awscdk.project_file import ProjectError
from awscdk.selection import select
from awscdk.tree import DANGLING, LOOP, SPECIAL

LATIN_1 = os.fsdecode(b"caf\xe9.txt")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "django"
    (folder / "core").mkdir(parents=True)
    (folder / "core" / "models.py").write_text("a = 1\n")
    return folder


def left_out(project: Path) -> dict[str, str]:
    return {str(path): reason for path, reason in select(project).left_out.items()}


def staged(project: Path) -> set[str]:
    """Return the names of a staged project's files without the runtime."""
    files = (project / "requirements.txt", project / "requirements.lock", project / "layer")
    folder = code.django_package.__wrapped__(Project(project, *files))
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc"
        if path.relative_to(folder).parts[0] not in {"djambda", "djambda_common"}
    }


def bind(path: Path) -> None:
    # The path of a socket may have about 100 characters.
    previous = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(previous)


@pytest.mark.parametrize(
    ("create", "reason"),
    [
        (lambda path: path.symlink_to("missing.txt"), DANGLING),
        (lambda path: path.symlink_to("../core/models.py/x"), DANGLING),
        (lambda path: path.symlink_to("user@host.1234:1700000000"), DANGLING),
        (lambda path: path.symlink_to(path.name), LOOP),
        (lambda path: path.symlink_to("."), LOOP),
        (lambda path: path.symlink_to(".."), LOOP),
        (lambda path: path.symlink_to("/dev/zero"), SPECIAL),
        (os.mkfifo, SPECIAL),
        (bind, SPECIAL),
    ],
)
def test_files_without_content_are_left_out(
    project: Path, create: Callable[[Path], None], reason: str
) -> None:
    create(project / "core" / "odd")

    assert left_out(project) == {"core/odd": reason}
    assert staged(project) == {"core/models.py"}


def test_links_that_point_to_each_other_are_left_out(project: Path) -> None:
    (project / "a").mkdir()
    (project / "b").mkdir()
    (project / "a" / "b").symlink_to("../b")
    (project / "b" / "a").symlink_to("../a")

    assert left_out(project) == {"a/b/a": LOOP, "b/a/b": LOOP}


def test_content_of_links_ships(project: Path) -> None:
    shared = project.parent / "shared"
    (shared / "static").mkdir(parents=True)
    (shared / "static" / "site.css").touch()
    (project / "first").symlink_to(shared)
    (project / "second").symlink_to("../shared/static")
    (project / "style.css").symlink_to(shared / "static" / "site.css")

    assert staged(project) == {
        *("core/models.py", "style.css", "first/static/site.css", "second/site.css"),
    }


@pytest.mark.parametrize("name", ["ä\U0001f600", "-rf", " ", "*?[a].txt", "x" * 250])
def test_odd_names_ship(project: Path, name: str) -> None:
    (project / "core" / name).touch()

    assert staged(project) == {"core/models.py", f"core/{name}"}


@pytest.mark.parametrize("name", [LATIN_1, "a\\b.txt", "a\nb.txt", "a\u2028", f"{LATIN_1}/a.txt"])
def test_names_that_a_zip_cannot_contain_are_errors(project: Path, name: str) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).touch()

    with pytest.raises(ProjectError) as error:
        select(project)

    assert str(error.value).startswith("django/")
    assert str(error.value).isprintable()


def test_names_of_files_that_do_not_ship_do_not_matter(project: Path) -> None:
    (project / "node_modules").mkdir()
    (project / "node_modules" / LATIN_1).touch()

    assert staged(project) == {"core/models.py"}


def test_unreadable_file_is_an_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser, who may run the tests, can read everything."""
    monkeypatch.setattr(os, "access", lambda path, _: path.name != "models.py")

    with pytest.raises(ProjectError, match=r"^django/core/models\.py cannot be read"):
        select(project)


def test_unreadable_files_that_do_not_ship_do_not_matter(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".data").mkdir()
    (project / ".data" / "pg_hba.conf").touch()
    monkeypatch.setattr(os, "access", lambda path, _: path.name != ".data")

    assert left_out(project) == {".data": "development file"}


@pytest.mark.skipif(os.geteuid() == 0, reason="The superuser can read everything.")
@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_unreadable_folder_is_an_error(project: Path, mode: int) -> None:
    (project / "core").chmod(mode)
    try:
        with pytest.raises(ProjectError, match=r"^django/core.* cannot be read"):
            select(project)
    finally:
        (project / "core").chmod(0o755)


def test_id_of_a_folder_with_odd_files(project: Path) -> None:
    before = code.build_id(project)
    (project / LATIN_1).touch()
    (project / "old").symlink_to("missing")

    assert code.build_id(project) != before
