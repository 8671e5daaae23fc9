"""Stage the functions' code as folders that the CDK packs as they are.

What a function does not run (tests, caches) stays out, and the two Lambda packages share the one
module that both need. Staging is deterministic: the same files give the same asset, so that a
deploy without a change changes nothing.
"""

import atexit
import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_SHIPPED = ("__pycache__", "tests", "test_*.py", "conftest.py", "*.pyc", ".*")
SHARED_WITH_HELPERS = ("djambda/__init__.py", "djambda/aws_api.py")
RELEASE_DIGITS = 12


@cache
def django() -> Path:
    """The Django function's code: the folder `django/`."""
    return _copy(ROOT / "django")


@cache
def helpers() -> Path:
    """The helper functions' code: `awslambda/`, and the signed AWS call that Django has too."""
    folder = _copy(ROOT / "awslambda")
    for name in SHARED_WITH_HELPERS:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "django" / name, folder / name)
    return folder


def release_of(*folders: Path) -> str:
    """The name of what is in these folders together: 12 hexadecimal digits of their content."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(folder)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:RELEASE_DIGITS]


def _copy(source: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="djambda-"))
    atexit.register(shutil.rmtree, folder)  # The CDK has its own copy by then.
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*NOT_SHIPPED), dirs_exist_ok=True)
    return folder
