"""The reference of the command line is what `make reference` would write now."""

import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


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
