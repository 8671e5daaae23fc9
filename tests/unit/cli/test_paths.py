"""The project that a command in a folder works on."""

import ast
import re
from pathlib import Path

import pytest

from djambda_cli import paths
from djambda_cli.paths import locate


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "djambda" / "awscdk").mkdir(parents=True)
    (tmp_path / "djambda" / "awscdk" / "app.py").touch()
    (tmp_path / "djambda" / "django").mkdir()
    (tmp_path / "djambda" / "django" / "manage.py").touch()
    return tmp_path / "djambda"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "manage.py").touch()
    return tmp_path / "shop"


def test_checkout_is_found_from_a_folder_below(checkout: Path) -> None:
    assert locate(checkout / "django", None) == (checkout, None)


def test_editable_installation_works_on_its_own_checkout(checkout: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"

    assert locate(checkout, own) == (own, None)
    assert locate(tmp_path / "elsewhere", own) == (own, None)


def test_project_is_found_by_an_installed_and_by_an_editable_command(
    checkout: Path, project: Path
) -> None:
    assert locate(project, None) == (None, project)
    assert locate(project, checkout) == (None, project)


def test_folder_without_a_project(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert locate(tmp_path / "empty", None) == (None, None)


def test_only_this_module_names_what_is_in_a_checkout_alone() -> None:
    """Commands outside a checkout have no `make`, no `.local` and no `.variables.template`."""
    package = Path(paths.__file__).parent
    allowed = {"paths.py", "tools.py", "commands/init.py", "project/pipeline.py"}
    named = re.compile(r"make (?:up|down|wipe|tools)|\.local/|\.variables\.template")

    found = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if named.search(node.value)
    }

    assert found <= allowed
