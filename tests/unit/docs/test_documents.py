"""Whatever the documents repeat from the code is the same there."""

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from djambda_cli.main import app

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def make_targets() -> set[str]:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return set(re.findall(r"make (\w+)", shown))


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(document: Path) -> None:
    named = re.findall(r"`make (\w+)`|^\$ make (\w+)", document.read_text(), re.MULTILINE)

    assert {target for pair in named for target in pair if target} <= make_targets()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_djambda_commands_exist(document: Path) -> None:
    named = set(re.findall(r"(?:^|`)(?:\$ )?djambda (\w+)", document.read_text(), re.MULTILINE))
    commands = {
        command.callback.__name__ for command in app.registered_commands if command.callback
    }

    assert named <= commands


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_work(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_steps_of_make_up_are_those_of_the_code() -> None:
    shown = re.findall(r"^  ✓ (.+?) +[\d.]+ s$", README, re.MULTILINE)
    files = (
        "bootstrap.py",
        *(
            f"djambda_cli/{name}.py"
            for name in ("commands/up", "commands/deploy", "operations/site")
        ),
    )
    code = "".join((ROOT / "cli" / name).read_text() for name in files)

    assert set(shown) <= set(re.findall(r'step\("([^"]+)"', code))


def test_ci_runs_the_test_command_of_the_readme() -> None:
    [command] = re.findall(r"^(make .*)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)

    assert f"$ {command}\n" in README


def test_django_requirements_are_the_ones_that_are_tested() -> None:
    pinned = [
        Requirement(line)
        for line in (ROOT / "django" / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [Requirement(each).name.lower() for each in project["dependency-groups"]["django"]]

    assert set(asked) <= {each.name.lower() for each in pinned}
    for each in pinned:
        assert str(each.specifier) == f"=={version(each.name)}"


def test_emulator_and_bootstrap_pins_are_exact() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    for group in ("emulator", "node"):
        assert all("==" in each for each in project["dependency-groups"][group])
    assert not (ROOT / "django" / "__init__.py").exists()
