"""Find this machine's Python of a given version.

It compiles the bytecode of the Django function, and runs the function in the local cloud. The
wheels of its layer need no interpreter.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from uv import find_uv_bin

OWN_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@cache
def find_interpreter(version: str) -> Path | None:
    """Return the path of a Python such as "3.12", outside of any virtual environment, or None."""
    if version == OWN_VERSION:
        return Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    # pyenv hides its other versions: its `python3.12` works only where a file selects it.
    hidden = sorted(map(str, pyenv.glob(f"versions/{version}.*/bin")), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *hidden])
    completed = subprocess.run(  # noqa: S603 (uv, and a version)
        [find_uv_bin(), "python", "find", "--system", "--no-project", "--no-python-downloads"]
        + [f"cpython@{version}"],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(completed.stdout.strip()) if completed.returncode == 0 else None
