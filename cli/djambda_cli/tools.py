"""Install the tools that an installed djambda shares between projects, at their first use.

They are Node, the CDK CLI, Postgres and the AWS emulator, by the hashes in this version's lock
files. In a checkout, `make tools` installs them. The Python version of a project is also a tool,
if this machine does not have it.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from awscdk.interpreters import find_interpreter
from awscdk.product import IS_CHECKOUT, PRODUCT
from djambda_cli.errors import CliError
from djambda_cli.paths import TOOLS, TOOLS_HOME, tool

PINS = (
    *("pyproject.toml", "uv.lock", "package.json", "package-lock.json"),
    *("cli/bootstrap.py", "cli/uv.txt"),
)


def ensure_tools() -> None:
    """Install the tools if they are missing. Raises `CliError`; the next call tries again."""
    complete = TOOLS_HOME / ".complete"
    if IS_CHECKOUT or complete.exists():
        return
    TOOLS_HOME.parent.mkdir(parents=True, exist_ok=True)
    with TOOLS_HOME.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists():
            return
        shutil.rmtree(TOOLS_HOME, ignore_errors=True)
        for name in PINS:
            (TOOLS_HOME / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PRODUCT / name, TOOLS_HOME / name)
        completed = subprocess.run(
            [sys.executable, TOOLS_HOME / "cli" / "bootstrap.py", "--tools-only"],
            env=os.environ
            | {
                "UV_PYTHON": sys.executable,
                "PATH": os.pathsep.join([str(TOOLS), os.environ.get("PATH", os.defpath)]),
            },
            stdout=sys.stderr,  # A command's own output may be JSON.
            check=False,
        )
        if completed.returncode:
            raise CliError("Could not install the tools that djambda runs: see above.")
        complete.touch()


def download_python(version: str) -> Path:
    """Download a version of Python for the user. Raises `CliError`."""
    completed = subprocess.run(
        [tool("uv"), "python", "install", "--no-bin", version],
        capture_output=True,
        text=True,
        check=False,
    )
    find_interpreter.cache_clear()
    interpreter = find_interpreter(version)
    if not interpreter:
        raise CliError(
            f"The project runs on Python {version}, which is not installed and could not be "
            f"downloaded. Install it (https://www.python.org/downloads/, pyenv install {version}, "
            f"or your system's packages) so that `python{version}` is on the PATH, then try again.",
            output=completed.stderr,
        )
    return interpreter
