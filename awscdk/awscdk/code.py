"""Stage the functions' code in folders that become Lambda assets.

Each of the two Lambda packages contains its own code and the shared `djambda_common`;
`selection.py` decides which files ship. Staging is deterministic: the same files produce the same
asset, so a deploy without a change changes nothing. `djambda layer` also compiles its bytecode
with this module.
"""

import atexit
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import djambda_common
from awscdk.discovery import Project
from awscdk.interpreters import find_interpreter
from awscdk.module_archive import BYTECODE, archive_bytecode
from awscdk.product import PRODUCT
from awscdk.project_file import ProjectError
from awscdk.python_version import DEFAULT_PYTHON
from awscdk.selection import select
from awscdk.tree import shown

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_

RUNTIME = PRODUCT / "django" / "djambda"
COMMON = Path(djambda_common.__file__).parent
BUILD_ID_DIGITS = 12

IMPORTED_FIRST = ("djambda/__init__.py", "djambda/awslambda.py", "djambda/module_archive.py")
"""The modules of the handler that Python imports without the archive of the others."""


@cache
def django_package(project: Project) -> Path:
    """Return a folder with the Django function's code: project, runtime and common code."""
    sources = {".": project.root, RUNTIME.name: RUNTIME, COMMON.name: COMMON}
    folder = _stage(sources, project.python, project.file.exclude)
    archive_bytecode(folder, project.python, keep=IMPORTED_FIRST)
    normalize_modes(folder)
    return folder


@cache
def helper_package() -> Path:
    """Return a folder with the helper functions' code: `awslambda/` and the common code."""
    folder = _stage({".": PRODUCT / "awslambda", COMMON.name: COMMON}, DEFAULT_PYTHON)
    normalize_modes(folder)
    return folder


def asset(folder: Path) -> "lambda_.Code":
    """Return a folder as code of a function or layer; its content determines the asset's hash."""
    from aws_cdk import aws_lambda as lambda_  # noqa: PLC0415 (takes 10 s; `djambda layer` does not need it)

    return lambda_.Code.from_asset(str(folder), asset_hash=_hash_of(folder))


def build_id(*folders: Path) -> str:
    """Return the id of these folders' combined content: 12 hexadecimal digits."""
    return _hash_of(*folders)[:BUILD_ID_DIGITS]


def shipped(source: Path, exclude: Sequence[str] = ()) -> Iterator[Path]:
    """Yield the files below `source` that belong in a Lambda package, in a fixed order.

    Raises `ProjectError` if one of them cannot be shipped.
    """
    yield from (source / file for file in select(source, exclude).files)


def add_bytecode(
    folder: Path, runs_in: str, python: str = DEFAULT_PYTHON, *, column_tables: bool = True
) -> None:
    """Compile every module of `folder`, mounted at `runs_in` on Lambda, to unchecked bytecode.

    Lambda's folders are read-only, so without bytecode every cold start would compile again, and
    the CDK's zips reset the times that ordinary bytecode is validated by (PEP 552). Column tables
    hold the positions of the ^^^^ marks in tracebacks. Files that do not compile are left alone,
    and all of them if this machine does not have this version of Python.
    """
    interpreter = find_interpreter(python)
    if not interpreter:
        return
    # Variables such as PYTHONPYCACHEPREFIX or PYTHONOPTIMIZE would change the result.
    environment = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
    if not column_tables:
        environment["PYTHONNODEBUGRANGES"] = "1"
    subprocess.run(  # noqa: S603 (a Python, and folders)
        [str(interpreter), "-P", "-W", "ignore", "-m", "compileall", "-qq", "-f"]
        + ["-s", str(folder), "-p", runs_in, "--invalidation-mode", "unchecked-hash", str(folder)],
        env=environment,
        check=False,
    )


def normalize_modes(folder: Path) -> None:
    """Set every file's mode to 0644, and to 0755 for folders and executables.

    Lambda does not run as the files' owner, and the modes must not depend on the umask.
    """
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or _is_executable(path) else 0o644)


def _hash_of(*folders: Path) -> str:
    """Return the SHA-256 of the files' names, contents and executable bits.

    Bytecode is ignored: it follows from the rest, and in a layer built by plain pip it differs from
    machine to machine. The layer manifest records how `djambda layer` compiled its bytecode.
    """
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.parent.name != BYTECODE:
                kind = "x" if _is_executable(path) else ""
                digest.update(os.fsencode(f"{path.relative_to(folder)}\0{kind}\0"))
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _is_executable(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)


def _stage(sources: dict[str, Path], python: str, exclude: Sequence[str] = ()) -> Path:
    """Copy each source to the subfolder that is its key, and compile everything.

    `exclude` applies to the source of the folder itself.
    """
    folder = Path(tempfile.mkdtemp(prefix="djambda-"))
    atexit.register(shutil.rmtree, folder)  # The CDK has its own copy by then.
    for name, source in sources.items():
        for file in select(source, exclude if name == "." else ()).files:
            target = folder / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copy(source / file, target)
            except OSError as error:
                raise ProjectError(
                    f"{shown(source, file)} cannot be copied: {error.strerror}."
                ) from None
    add_bytecode(folder, "/var/task", python)
    return folder
