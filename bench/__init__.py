"""Benchmarks of djambda and its peers: the WSGI adapter, cold starts, memory, package sizes, the
proxy, background tasks.

`make bench` runs `python -m bench` with the project's own Python. The peers are installed in their
own environment, which `environment` creates. Each benchmark module has a function `run(rounds)`
that returns tables.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@cache
def environment() -> Path:
    """Create or update the peers' environment; return its Python.

    Raises `FileNotFoundError` if uv is missing, `CalledProcessError` if uv fails.
    """
    folder = ROOT / ".local" / "bench"
    uv = ROOT / ".local" / "uv" / "bin" / "uv"
    command = str(uv) if uv.exists() else shutil.which("uv")
    if command is None:
        raise FileNotFoundError("uv is not installed. Run `make bench`, which installs it")
    subprocess.run(
        [command, "sync", "-q", "--locked", "--only-group", "bench", "--only-group", "django"],
        cwd=ROOT,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(folder)},
        check=True,
    )
    return folder / "bin" / "python"


def in_environment(module: str, *arguments: str) -> Any:
    """Run `python -m module` in the peers' environment and return the JSON that it prints.

    Raises `CalledProcessError` if it fails; its stderr is not captured.
    """
    path = os.pathsep.join(str(ROOT / name) for name in ("", "common", "django"))
    completed = subprocess.run(
        [str(environment()), "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(completed.stdout)


def in_turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield each name in each round; each round begins with another."""
    for turn in range(rounds):
        first = turn % len(names)
        yield from (*names[first:], *names[:first])
