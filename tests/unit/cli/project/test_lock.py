"""The options of a requirements file in a lock in another folder."""

from pathlib import Path

import pytest

from djambda_cli.project.lock import with_absolute_path


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
