"""Build `layers/django/python`: the Django Lambda's dependencies, for Lambda's platform.

The layer contains the locked packages (`requirements.py`) without unused files
(`unused_files.py`), and bytecode, which Lambda's read-only file system cannot cache. The same input
produces the same files. A manifest records what the layer was built for; `awscdk/awscdk/layer.py`
checks it at synth.
"""

import fcntl
import hashlib
import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awscdk import code
from awscdk import project as django_project
from awscdk.discovery import Project
from awscdk.interpreters import find_interpreter
from awscdk.layer import MANIFEST, SIZE_LIMIT, expected_manifest
from awscdk.project_file import ProjectError
from djambda_cli.errors import CliError
from djambda_cli.project import requirements, source_builds, unused_files
from djambda_cli.project.lock import update_lock
from djambda_cli.project.unused_files import remove_unused_files


@dataclass(frozen=True)
class BuiltLayer:
    """A finished layer and its sizes in bytes.

    `zipped` approximates the CDK's zip. `code` is the unzipped code of the Django function, which
    counts against the same limit. `packages` has the unzipped sizes, the largest first. `sources`
    has the packages that were built from source, `lock_changes` those that changed in
    requirements.lock, or None if that was not updated, and `omitted` the unused parts of packages.
    """

    zipped: int
    unzipped: int
    code: int
    packages: list[tuple[str, int]]
    sources: list[str]
    lock_changes: list[str] | None
    omitted: list[str]

    @property
    def lock_change(self) -> str:
        """The changed versions in the lock file in one sentence, or "" if it was not updated."""
        if self.lock_changes is None:
            return ""
        changes = ", ".join(self.lock_changes) or "no version has changed"
        return f"requirements.lock was updated: {changes}."

    @property
    def share(self) -> float:
        """The share of Lambda's size limit that the layer and the code use, from 0 to 1."""
        return (self.unzipped + self.code) / SIZE_LIMIT

    @property
    def largest(self) -> str:
        """The five largest packages, for people."""
        return ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in self.packages[:5])


@contextmanager
def _project_errors() -> Iterator[None]:
    try:
        yield
    except ProjectError as error:
        raise CliError(str(error)) from None


@_project_errors()
def is_current(project: Project, architecture: str) -> bool:
    """Return whether a build would produce the layer that exists. Raises `CliError`."""
    try:
        manifest = json.loads((project.layer / "python" / MANIFEST).read_text())
    except (FileNotFoundError, ValueError):
        return False
    return bool(manifest == _new_manifest(project, architecture))


@_project_errors()
def build(project: Project, architecture: str, work: Path) -> BuiltLayer:
    """Build the project's layer, and replace the existing one when it is complete.

    `work` is a folder for temporary files. Concurrent builds in it wait for each other. Raises
    `CliError`, and then the existing layer remains.
    """
    with (work / "layer.building").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        lock_changes = update_lock(project, work)
        new, old = work / "layer.new", work / "layer.old"
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
        sources = requirements.install(project, new, architecture)
        manifest = _new_manifest(project, architecture)
        omitted = remove_unused_files(new, manifest["languages"], keeps_gis=manifest["gis"])
        code.add_bytecode(new, "/opt/python", project.python, column_tables=False)
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        code.normalize_modes(new)
        sizes = _measure(new, project)
        built = BuiltLayer(**sizes, sources=sources, lock_changes=lock_changes, omitted=omitted)
        if built.share > 1:
            raise CliError(
                f"The layer ({built.unzipped / 1e6:.0f} MB unzipped) and the code exceed Lambda's "
                f"limit of {SIZE_LIMIT / 1e6:.0f} MB. The largest packages are {built.largest}. "
                f"Remove packages that the site does not need from {project.requirements.name}."
            )
        target = project.layer / "python"
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(old)
        new.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        return built


def _new_manifest(project: Project, architecture: str) -> dict[str, Any]:
    """Return the manifest of a layer built now.

    It includes a hash of this code: CloudFormation and the CDK compare the manifest, but not the
    bytecode.
    """
    builder = b"".join(
        file.read_bytes()
        for file in (Path(__file__), Path(unused_files.__file__), Path(code.__file__))
        + (Path(django_project.__file__), source_builds.TOOLS)
    )
    return {
        **expected_manifest(project, architecture),
        "builder": hashlib.sha256(builder).hexdigest(),
        "bytecode": find_interpreter(project.python) is not None,
    }


def _measure(folder: Path, project: Project) -> dict[str, Any]:
    """Return the sizes of a `BuiltLayer`."""
    packages: Counter[str] = Counter()
    archive_file = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive_file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                name = path.relative_to(folder)
                archive.write(path, "python" / name)
                package = name.parts[0].partition("-")[0].removesuffix(".libs")
                packages[package] += path.stat().st_size
    zipped = archive_file.stat().st_size
    archive_file.unlink()
    return {
        "zipped": zipped,
        "unzipped": packages.total(),
        # Bytecode is about as large as its source.
        "code": sum(
            path.stat().st_size * (2 if path.suffix == ".py" else 1)
            for path in code.shipped(project.root, project.file.exclude)
        ),
        "packages": packages.most_common(),
    }
