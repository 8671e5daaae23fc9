"""The commands' help: an example for each, completion in the shell, a current reference page."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from djambda_cli.main import app

COMMANDS = [command.callback for command in app.registered_commands if command.callback]
ROOT = Path(__file__).resolve().parents[3]


def test_reference_is_current(tmp_path: Path) -> None:
    printed = subprocess.run(
        ["make", "--dry-run", "reference"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    [command_line] = [line for line in printed.splitlines() if line.startswith("typer ")]
    program, *arguments, page = shlex.split(command_line)

    subprocess.run(
        [Path(sys.executable).with_name(program), *arguments, tmp_path / "page.md"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )

    assert (ROOT / page).read_text() == (tmp_path / "page.md").read_text(), "run: make reference"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_command_has_an_example(command: Callable[..., Any]) -> None:
    help_text = inspect.getdoc(command) or ""

    [example] = re.findall(r"^Example: `djambda (.+)`$", help_text, re.MULTILINE)

    assert example.split()[0] == command.__name__


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("djambda st", ["status"]),
        ("djambda maintenance o", ["on", "off"]),
        ("djambda logs --f", ["--follow", "--function"]),
    ],
)
def test_shell_completion(words: str, completions: list[str]) -> None:
    request = {
        "_DJAMBDA_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }

    completed = subprocess.run(
        [Path(sys.executable).with_name("djambda")],
        env=os.environ | request,
        capture_output=True,
        text=True,
        check=True,
    )

    assert completed.stdout.split() == completions
