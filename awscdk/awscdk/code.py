"""Stage the functions' code as folders that the CDK packs as they are.

What a function does not run (tests, caches, local databases) stays out, and the two Lambda packages
share the one module that both need. Staging is deterministic: the same files give the same asset,
so that a deploy without a change changes nothing.
"""

import atexit
import compileall
import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path
from py_compile import PycInvalidationMode

from aws_cdk import aws_lambda as lambda_

ROOT = Path(__file__).resolve().parents[2]
BYTECODE = "__pycache__"
NOT_SHIPPED = (BYTECODE, "tests", "test_*.py", "conftest.py", "*.sqlite3", ".*")
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


def packed(folder: Path) -> lambda_.Code:
    """A folder as a function's or a layer's code: a new asset if its content is new."""
    return lambda_.Code.from_asset(str(folder), asset_hash=_hash_of(folder))


def release_of(*folders: Path) -> str:
    """The name of what is in these folders together: 12 hexadecimal digits of their content."""
    return _hash_of(*folders)[:RELEASE_DIGITS]


def _hash_of(*folders: Path) -> str:
    """The SHA-256 of the files' names and contents. Bytecode does not count: it follows from the
    rest, and differs from machine to machine in the layer that plain pip makes."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.parent.name != BYTECODE:
                digest.update(f"{path.relative_to(folder)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _copy(source: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="djambda-"))
    atexit.register(shutil.rmtree, folder)  # The CDK has its own copy by then.
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*NOT_SHIPPED), dirs_exist_ok=True)
    return folder


def _ready(folder: Path) -> Path:
    """Add the bytecode that Lambda, whose code is read-only, would make again at each cold start,
    and let everybody read: Lambda does not run as the owner of these files."""
    compileall.compile_dir(
        folder,
        quiet=2,
        stripdir=folder,
        prependdir="/var/task",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder
