"""Install locked packages for Lambda with uv, on any machine and without Docker."""

import re
import subprocess
import sys
from pathlib import Path

from awscdk.layer import PYTHON
from djambda_cli.errors import CliError
from djambda_cli.paths import tool

PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
PYTHON_VERSION = ".".join(map(str, PYTHON))


def install(lock_file: Path, folder: Path, architecture: str) -> None:
    """Install the locked packages into `folder` for Lambda. Raises `CliError`."""
    uv_pip(
        ["install", "--require-hashes", "-r", lock_file.name, "--target", str(folder)]
        + ["--python-platform", PLATFORMS[architecture], "--no-compile", "--link-mode=copy"],
        lock_file,
        f"Could not install {short_name(lock_file)}. Every package must have a wheel for Python "
        f"{PYTHON_VERSION} on {architecture} Linux, and its hash must be the locked one.",
    )


def short_name(file: Path) -> str:
    """Return the name of a project's file with its folder, as in `django/requirements.txt`."""
    return f"{file.parent.name}/{file.name}"


def uv_pip(arguments: list[str], file: Path, failure: str) -> None:
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
