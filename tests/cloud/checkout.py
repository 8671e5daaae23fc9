"""Copies of the checkout that tests deploy, with the test project in place of the sample.

A copy holds what a deploy reads and a `djambda` command of its own, so that a test can change any
file of it.
"""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = Path(sys.executable).parent
SHOP = ROOT / "tests" / "projects" / "shop"
SHOP_CONFIGURATION = """
[schedules]
check = {run = "check", at = "cron(0 0 1 1 ? 2199)", zone = "Europe/Warsaw"}
"""
FOLDERS = ("awscdk", "awslambda", "cli", "common", "django")
FILES = ("cdk.json", "package.json", "package-lock.json", "pyproject.toml", "uv.lock")
TOOLS = (".venv", "node_modules", ".local/emulator", ".local/uv")
"""Folders that copies share with the checkout."""


@dataclass(frozen=True)
class Checkout:
    """The files in `folder`, and the folder `commands` with the `djambda` that deploys them."""

    folder: Path
    commands: Path

    def copy_to(self, folder: Path) -> "Checkout":
        """Copy what a deploy reads, except for the layer, which both share."""
        folder.mkdir(exist_ok=True)
        for name in FOLDERS:
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(self.folder / name, folder / name, ignore=ignore)
        for name in FILES:
            shutil.copy(self.folder / name, folder)
        (folder / ".local").mkdir()
        for name in TOOLS:
            (folder / name).symlink_to(ROOT / name)
        (folder / "layers").symlink_to(self.folder / "layers")
        copy = Checkout(folder, folder / "bin")
        copy.commands.mkdir()
        copy.djambda.write_text(
            f"#!/bin/sh\nPYTHONPATH={shlex.quote(copy.python_path)} "
            f'exec {shlex.quote(str(COMMANDS / "djambda"))} "$@"\n'
        )
        copy.djambda.chmod(0o755)
        return copy

    @property
    def djambda(self) -> Path:
        """The command that deploys these files."""
        return self.commands / "djambda"

    @property
    def python_path(self) -> str:
        """The folders of the tool's own packages, for `PYTHONPATH`."""
        return os.pathsep.join(str(self.folder / name) for name in ("cli", "awscdk", "common"))

    def read(self, name: str) -> str:
        """Return a file's content."""
        return (self.folder / name).read_text()

    def write(self, name: str, content: str) -> None:
        """Write a file."""
        (self.folder / name).write_text(content)


WORKING_TREE = Checkout(ROOT, COMMANDS)


def copy_listed_files(folder: Path) -> None:
    """Copy the working tree's files that git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # Not deleted.
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def replace_sample(checkout: Path, project: Path = SHOP) -> None:
    """Put `project` into the `django/` of a copied checkout, in place of the sample."""
    for path in (checkout / "django").iterdir():
        if path.is_file():
            path.unlink()
        elif path.name != "djambda":
            shutil.rmtree(path)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(project, checkout / "django", dirs_exist_ok=True, ignore=ignore)


def copy_with_shop(folder: Path) -> Checkout:
    """Copy the working tree with the shop in place of the sample, and without a layer."""
    copy = WORKING_TREE.copy_to(folder)
    replace_sample(folder)
    (folder / "layers").unlink()
    copy.write("django/djambda.toml", SHOP_CONFIGURATION)
    return copy
