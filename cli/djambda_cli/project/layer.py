"""Build `layers/django/python`: the Django Lambda's dependencies, for Lambda's platform.

The layer contains the locked packages (`requirements.py`) without unused files
(`unused_files.py`), and bytecode, which Lambda's read-only file system cannot cache, in one file
(`awscdk/awscdk/module_archive.py`). The same input produces the same files. A manifest records what
the layer was built for; `awscdk/awscdk/layer.py` checks it at synth.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awscdk import code, module_archive
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
class Sizes:
    """The unzipped sizes in bytes that Lambda limits: of the layer and of the function's code.

    `packages` has the sizes of the layer's packages without bytecode, the largest first.
    """

    unzipped: int
    code: int
    packages: list[tuple[str, int]]

    @property
    def total(self) -> int:
        """The size of layer and code."""
        return self.unzipped + self.code

    @property
    def share(self) -> float:
        """The share of Lambda's size limit that the layer and the code use, from 0 to 1."""
        return self.total / SIZE_LIMIT

    @property
    def are_close_to_the_limit(self) -> bool:
        """True if less than a fifth of the limit is left."""
        return self.share > 0.8  # noqa: PLR2004

    @property
    def largest(self) -> str:
        """The five largest packages, for people."""
        return ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in self.packages[:5])


@dataclass(frozen=True)
class BuiltLayer:
    """A finished layer.

    `zipped` approximates the size in bytes of the CDK's zip. `sources` has the packages that were
    built from source, `lock_changes` those that changed in requirements.lock, or None if that was
    not updated, and `omitted` the unused parts of packages.
    """

    sizes: Sizes
    zipped: int
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
        module_archive.archive_bytecode(new, project.python)
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        code.normalize_modes(new)
        sizes = measure(new, project)
        if sizes.share > 1:
            raise CliError(
                f"The layer ({sizes.unzipped / 1e6:.0f} MB unzipped) and the code exceed Lambda's "
                f"limit of {SIZE_LIMIT / 1e6:.0f} MB. The largest packages are {sizes.largest}. "
                f"Remove packages that the site does not need from {project.requirements.name}."
            )
        built = BuiltLayer(sizes, _zipped_size(new), sources, lock_changes, omitted)
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
        + (Path(module_archive.__file__), Path(django_project.__file__), source_builds.TOOLS)
    )
    return {
        **expected_manifest(project, architecture),
        "builder": hashlib.sha256(builder).hexdigest(),
        "bytecode": find_interpreter(project.python) is not None,
    }


def measure(folder: Path, project: Project) -> Sizes:
    """Return the sizes of a layer's packages in `folder`, and of the project's code."""
    packages: Counter[str] = Counter()
    unzipped = 0
    for path in folder.rglob("*"):
        if path.is_file():
            name, size = path.relative_to(folder).parts[0], path.stat().st_size
            unzipped += size
            if name != module_archive.BYTECODE:
                packages[name.partition("-")[0].removesuffix(".libs")] += size
    # Bytecode is about as large as its source.
    code_size = sum(
        path.stat().st_size * (2 if path.suffix == ".py" else 1)
        for path in code.shipped(project.root, project.file.exclude)
    )
    return Sizes(unzipped, code_size, packages.most_common())


def _zipped_size(folder: Path) -> int:
    with tempfile.TemporaryFile(dir=folder.parent) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in folder.rglob("*"):
                if path.is_file():
                    archive.write(path, "python" / path.relative_to(folder))
        return file.seek(0, os.SEEK_END)
