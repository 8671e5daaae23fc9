"""The command line's help: an example for each verb, completion in the shell, and the reference,
which is what `make reference` would write now."""

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

VERBS = [command.callback for command in app.registered_commands if command.callback]
ROOT = Path(__file__).resolve().parents[3]


def test_the_reference_is_current(tmp_path: Path) -> None:
    printed = subprocess.run(
        ["make", "--dry-run", "reference"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    [command] = [line for line in printed.splitlines() if line.startswith("typer ")]
    program, *arguments, page = shlex.split(command)

    subprocess.run(
        [Path(sys.executable).with_name(program), *arguments, tmp_path / "page.md"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )

    assert (ROOT / page).read_text() == (tmp_path / "page.md").read_text(), "run: make reference"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_every_verb_has_an_example(verb: Callable[..., Any]) -> None:
    [example] = re.findall(r"^Example: `djambda (.+)`$", inspect.getdoc(verb) or "", re.MULTILINE)

    assert example.split()[0] == verb.__name__


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("djambda st", ["status"]),
        ("djambda maintenance o", ["on", "off"]),
        ("djambda logs --f", ["--follow", "--function"]),
    ],
)
def test_the_shell_completes(words: str, completed: list[str]) -> None:
    asked = {
        "_DJAMBDA_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }

    done = subprocess.run(
        [Path(sys.executable).with_name("djambda")],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == completed
