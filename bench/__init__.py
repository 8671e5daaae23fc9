"""Peers side by side: what the bridge, the cold start and the front door cost, and cost elsewhere.

`make bench` runs `python -m bench` with the project's own Python. The rivals live in an environment
of their own, which `environment` makes; each benchmark module has `run(rounds)` and gives tables.
"""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@cache
def environment() -> Path:
    """Make the rivals' environment where it is missing or old; return its Python.

    Raises FileNotFoundError without uv, CalledProcessError when uv cannot build the environment.
    """
    place = ROOT / ".local" / "bench"
    uv = ROOT / ".local" / "uv" / "bin" / "uv"
    command = str(uv) if uv.exists() else shutil.which("uv")
    if command is None:
        raise FileNotFoundError("uv is missing: run `make bench`, which brings it")
    subprocess.run(
        [command, "sync", "-q", "--locked", "--only-group", "bench", "--only-group", "django"],
        cwd=ROOT,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(place)},
        check=True,
    )
    return place / "bin" / "python"


def in_environment(module: str, *arguments: str) -> Any:
    """Run `python -m module` among the rivals and return the JSON that it prints.

    Raises CalledProcessError when it fails; what it wrote to stderr is on the screen by then.
    """
    done = subprocess.run(
        [str(environment()), "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "django")])},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)
