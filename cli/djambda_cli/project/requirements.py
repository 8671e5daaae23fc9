"""Lock the project's requirements, and install the locked wheels for Lambda.

People edit `django/requirements.txt`; `requirements.lock` next to it contains every package with
its hashes. Both steps use uv, which builds for Lambda's platform on any machine, without Docker.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from awscdk.discovery import Project
from awscdk.layer import PYTHON
from awscdk.project import fingerprint, requirement_lines
from djambda_cli.errors import CliError
from djambda_cli.paths import tool

PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
PYTHON_VERSION = ".".join(map(str, PYTHON))


def lock(project: Project, temporary: Path) -> bool:
    """Update the project's lock if its requirements have changed; return whether it was updated.

    Raises `CliError`, and then the lock file remains unchanged.
    """
    requirements, lock_file = project.requirements, project.lock
    if not requirements.exists():
        raise CliError(
            f"{short_name(requirements)} is missing. Create it with the packages that the project "
            "needs, one per line: Django==6.1.3"
        )
    first_line = (
        "# Made by `djambda layer` from requirements.txt: commit both, change only that. "
        f"{fingerprint(requirements)}\n"
    )
    if lock_file.exists() and lock_file.read_text().startswith(first_line):
        return False
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        raise CliError(
            f"{short_name(lock_file)} is outdated: {short_name(requirements)} has changed since. "
            "CI does not update it. Run `djambda layer` on your machine and commit the lock file."
        )
    new_lock = temporary / "requirements.lock"
    # uv keeps the versions that it finds in the output file if they still fit.
    new_lock.write_text(
        "".join(f"{line}\n" for line in requirement_lines(lock_file) if not _is_option(line))
    )
    _uv_pip(
        ["compile", requirements.name, "--output-file", str(new_lock), "--universal"]
        + ["--generate-hashes", "--no-header"],
        requirements,
        f"Could not lock {short_name(requirements)}. Correct the lines named above. Every package "
        "must be available as a wheel.",
    )
    options = [f"{line}\n" for line in requirement_lines(requirements) if _is_option(line)]
    new_lock.write_text("".join([first_line, *options, new_lock.read_text()]))
    new_lock.replace(lock_file)
    return True


def install(lock_file: Path, folder: Path, architecture: str) -> None:
    """Install the locked packages into `folder` for Lambda. Raises `CliError`."""
    _uv_pip(
        ["install", "--require-hashes", "-r", lock_file.name, "--target", str(folder)]
        + ["--python-platform", PLATFORMS[architecture], "--no-compile", "--link-mode=copy"],
        lock_file,
        f"Could not install {short_name(lock_file)}. Every package must have a wheel for Python "
        f"{PYTHON_VERSION} on {architecture} Linux, and its hash must be the locked one.",
    )


def short_name(file: Path) -> str:
    """Return the name of a project's file with its folder, as in `django/requirements.txt`."""
    return f"{file.parent.name}/{file.name}"


def _is_option(line: str) -> bool:
    """Return whether a line is an option such as an index; included files are resolved already."""
    return bool(re.match("-(?!r|c|-requirement|-constraint)", line))


def _uv_pip(arguments: list[str], file: Path, failure: str) -> None:
    """Run `uv pip` in the folder of a file that it reads. Raises `CliError` with uv's output."""
    completed = subprocess.run(
        [tool("uv"), "pip", *arguments, "--quiet", "--only-binary=:all:"]
        + ["--python", sys.executable, "--python-version", PYTHON_VERSION],
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        # For a hash that does not match, uv lists all locked hashes of the package.
        output = re.sub(
            r"Expected:\s+(sha256:\w+\s+)+", f"Expected: {file.name}\n", completed.stderr
        )
        raise CliError(failure, output=output)
