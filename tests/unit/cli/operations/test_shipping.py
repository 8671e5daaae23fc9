"""The project's files that ship and those that do not, for people and scripts."""

from pathlib import Path

import pytest

from djambda_cli.errors import CliError
from djambda_cli.operations.shipping import (
    files_as_json,
    left_out_note,
    load_selection,
    render_files,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("core/__pycache__/x.pyc", "core/tests/data.json", "requirements.txt", ".env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "core" / "tests" / "test_x.py").write_text("def test_x(): ...")
    (tmp_path / "manage.py").touch()
    return tmp_path


def test_note_names_what_does_not_ship(project: Path) -> None:
    note = left_out_note(load_selection(project), project)

    assert "Not shipped: .env, core/tests (2 files)." in note
    assert "djambda synth --files" in note


def test_note_of_many_files_is_short(project: Path) -> None:
    for number in range(20):
        (project / f".env.{number}").touch()

    assert "16 more" in left_out_note(load_selection(project), project)


def test_no_note_if_everything_ships(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").touch()

    assert left_out_note(load_selection(tmp_path), tmp_path) == ""


def test_list_has_all_files_with_the_reasons(project: Path) -> None:
    lines = render_files(load_selection(project), project).splitlines()

    assert "  manage.py" in lines
    assert "  .env: secrets" in lines
    assert "  core/__pycache__ (1 file): cache" in lines


def test_odd_names_take_one_line(project: Path) -> None:
    (project / "a\x1b[1mb").touch()

    assert r"  a\x1b[1mb" in render_files(load_selection(project), project).splitlines()


def test_files_for_scripts(project: Path) -> None:
    files = files_as_json(load_selection(project))

    assert files["shipped"] == ["manage.py"]
    assert {"path": ".env", "reason": "secrets"} in files["not_shipped"]


def test_file_that_cannot_ship_is_an_expected_error(project: Path) -> None:
    (project / "a\\b").touch()

    with pytest.raises(CliError, match="backslash"):
        load_selection(project)
