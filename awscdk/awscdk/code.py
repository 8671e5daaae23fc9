"""Stage the functions' code as folders that the CDK packs as they are.

What a function does not run (tests, caches, requirements) stays out, and the two Lambda packages
share the one module that both need. Staging is deterministic: the same files give the same asset,
so that a deploy without a change changes nothing. `djambda layer` makes its bytecode with this too.
"""

import atexit
import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_

ROOT = Path(__file__).resolve().parents[2]
BYTECODE = "__pycache__"
NOT_SHIPPED = (BYTECODE, "tests", "test_*.py", "conftest.py", "*.sqlite3", "requirements.*", ".*")
SHARED_WITH_HELPERS = ("djambda/__init__.py", "djambda/aws_api.py")
RELEASE_DIGITS = 12


@cache
def django() -> Path:
    """The Django function's code: the folder `django/`."""
    return _ready(_copy(ROOT / "django"))


@cache
def helpers() -> Path:
    """The helper functions' code: `awslambda/`, and the signed AWS call that Django has too."""
    folder = _copy(ROOT / "awslambda")
    for name in SHARED_WITH_HELPERS:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "django" / name, folder / name)
    return _ready(folder)


def packed(folder: Path) -> "lambda_.Code":
    """A folder as a function's or a layer's code: a new asset if its content is new."""
    from aws_cdk import aws_lambda as lambda_  # noqa: PLC0415 (10 s, and `djambda layer` needs none)

    return lambda_.Code.from_asset(str(folder), asset_hash=_hash_of(folder))


def release_of(*folders: Path) -> str:
    """The name of what is in these folders together: 12 hexadecimal digits of their content."""
    return _hash_of(*folders)[:RELEASE_DIGITS]


def shipped(source: Path) -> Iterator[Path]:
    """The files below `source` that a function gets, in a fixed order."""
    for folder, subfolders, files in os.walk(source, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if _ships(name))
        yield from (Path(folder, name) for name in sorted(files) if _ships(name))


def add_bytecode(folder: Path, runs_in: str, *, column_tables: bool = True) -> None:
    """Compile every module of `folder`, which is `runs_in` on Lambda, to bytecode used unchecked.

    Lambda's folders are read-only, so that it would compile again at each cold start, and the
    CDK's zips reset the dates that ordinary bytecode is checked by (PEP 552). The column tables are
    the ^^^^ marks in tracebacks. What cannot be compiled is left as it is.
    """
    # Variables such as PYTHONPYCACHEPREFIX or PYTHONOPTIMIZE would lead elsewhere.
    environment = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
    if not column_tables:
        environment["PYTHONNODEBUGRANGES"] = "1"
    subprocess.run(  # noqa: S603 (this Python, and folders)
        [sys.executable, "-P", "-m", "compileall", "-qq", "-f"]
        + ["-s", str(folder), "-p", runs_in, "--invalidation-mode", "unchecked-hash", str(folder)],
        env=environment,
        check=False,
    )


def let_everybody_read(folder: Path) -> None:
    """Give all files the modes that Lambda needs, as it does not run as their owner, and that no
    umask changes: 0644; 0755 for folders and programs."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or _is_program(path) else 0o644)


def _hash_of(*folders: Path) -> str:
    """The SHA-256 of the files' names, contents, and whether they are programs. Bytecode does not
    count: it follows from the rest, and differs from machine to machine in the layer that plain
    pip makes. How `djambda layer` made its bytecode does, being in the layer's stamp."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.parent.name != BYTECODE:
                kind = "x" if _is_program(path) else ""
                digest.update(f"{path.relative_to(folder)}\0{kind}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _is_program(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)


def _ships(name: str) -> bool:
    return not any(fnmatch.fnmatchcase(name, pattern) for pattern in NOT_SHIPPED)


def _copy(source: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="djambda-"))
    atexit.register(shutil.rmtree, folder)  # The CDK has its own copy by then.
    for file in shipped(source):
        target = folder / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return folder


def _ready(folder: Path) -> Path:
    add_bytecode(folder, "/var/task")
    let_everybody_read(folder)
    return folder
