"""Build `layers/django/python`: the Django Lambda's dependencies, for Lambda's platform.

The wheels come from `django/requirements.txt` with uv, which cross-builds without Docker. What a
function never reads is left out, and bytecode that Lambda's read-only file system cannot make is
put in. A stamp says what the layer was made for; `awscdk/awscdk/layer.py` checks it at synth.
"""

import compileall
import fcntl
import hashlib
import json
import platform
import py_compile
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

from djambda_cli.errors import CommandError
from djambda_cli.paths import LAYER, LOCAL, REQUIREMENTS

PYTHON = "3.13"
STAMP = ".djambda-layer.json"
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
NOT_SHIPPED = ("bin", "**/*.pyi", "**/py.typed", "**/*.c", "**/*.po", "**/tests", "**/RECORD")


@dataclass(frozen=True)
class Sizes:
    """A layer's size in bytes, as files and as Lambda's zip."""

    unzipped: int
    zipped: int


def this_machine() -> str:
    """This machine's architecture by Lambda's name. Raises CommandError if Lambda has none."""
    names = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
    machine = platform.machine()
    try:
        return names[machine.lower()]
    except KeyError:
        raise CommandError(f"Lambda has no {machine} processors: x86_64 or arm64.") from None


def is_current(architecture: str) -> bool:
    """Whether the layer that is there was built for this, from these requirements."""
    try:
        return bool(json.loads((LAYER / STAMP).read_text()) == _stamp(architecture))
    except (FileNotFoundError, json.JSONDecodeError):
        return False


def build(architecture: str) -> Sizes:
    """Build the layer and put it in place in one move. Raises CommandError with uv's output."""
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "layer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = LOCAL / "layer.new"
        shutil.rmtree(fresh, ignore_errors=True)
        _install(fresh, architecture)
        for pattern in NOT_SHIPPED:
            for path in fresh.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        _compile(fresh)
        (fresh / STAMP).write_text(json.dumps(_stamp(architecture)))
        sizes = _sizes(fresh)
        LAYER.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(LAYER, ignore_errors=True)
        fresh.rename(LAYER)
        return sizes


def _stamp(architecture: str) -> dict[str, str]:
    return {
        "architecture": architecture,
        "python": PYTHON,
        "requirements": hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest(),
    }


def _install(folder: Path, architecture: str) -> None:
    uv = shutil.which("uv") or str(LOCAL / "uv" / "bin" / "uv")
    done = subprocess.run(
        [uv, "pip", "install", "--quiet", "--target", str(folder), "--link-mode=copy"]
        + ["--python-platform", PLATFORMS[architecture], "--python-version", PYTHON]
        + ["--only-binary=:all:", "--no-compile", "-r", str(REQUIREMENTS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(
            f"The layer could not be built from {REQUIREMENTS.name}. Lambda takes wheels only: a "
            f"package without a {architecture} wheel for Python {PYTHON} cannot be in it.",
            output=done.stderr,
        )


def _compile(folder: Path) -> None:
    compileall.compile_dir(
        folder,
        quiet=2,
        workers=0,
        stripdir=folder,
        prependdir="/opt/python",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _sizes(folder: Path) -> Sizes:
    files = [path for path in folder.rglob("*") if path.is_file()]
    packed = LOCAL / "layer.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    zipped = packed.stat().st_size
    packed.unlink()
    return Sizes(sum(path.stat().st_size for path in files), zipped)
