"""Build `layers/django/python`: the Django Lambda's dependencies, for Lambda's platform.

The layer contains the locked packages (`requirements.py`) without the files that a function never
reads, and bytecode, which Lambda's read-only file system cannot cache. The same input produces the
same files. A manifest records what the layer was built for; `awscdk/awscdk/layer.py` checks it at
synth.
"""

import fcntl
import hashlib
import json
import re
import shutil
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awscdk import code
from awscdk import project as django_project
from awscdk.discovery import Project
from awscdk.layer import MANIFEST, SIZE_LIMIT, expected_manifest
from awscdk.project import uses_gis
from djambda_cli.errors import CliError
from djambda_cli.project import requirements
from djambda_cli.project.lock import update_lock

NOT_SHIPPED = re.compile(r"(.*\.(c|h|po|pxd|pyi|pyx)|RECORD|py\.typed|uv_cache\.json|\.lock)")
IMPORTS_TESTS = re.compile(rb"^\s*(?:from|import)\s+[\w.]*\btests\b", re.MULTILINE)
GIS = "django/contrib/gis"
"""5% of the zipped layer of a plain site; it needs GDAL and GEOS, which Lambda does not have."""


@dataclass(frozen=True)
class BuiltLayer:
    """A finished layer and its sizes in bytes.

    `zipped` approximates the CDK's zip. `code` is the unzipped code of the Django function, which
    counts against the same limit. `packages` has the unzipped sizes, the largest first. `relocked`
    is true if requirements.lock was updated.
    """

    zipped: int
    unzipped: int
    code: int
    packages: list[tuple[str, int]]
    relocked: bool

    @property
    def share(self) -> float:
        """The share of Lambda's size limit that the layer and the code use, from 0 to 1."""
        return (self.unzipped + self.code) / SIZE_LIMIT

    @property
    def largest(self) -> str:
        """The five largest packages, for people."""
        return ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in self.packages[:5])


def is_current(project: Project, architecture: str) -> bool:
    """Return whether a build would produce the layer that exists."""
    try:
        manifest = json.loads((project.layer / "python" / MANIFEST).read_text())
    except (FileNotFoundError, ValueError):
        return False
    return bool(manifest == _new_manifest(project, architecture))


def build(project: Project, architecture: str, work: Path) -> BuiltLayer:
    """Build the project's layer, and replace the existing one when it is complete.

    `work` is a folder for temporary files. Concurrent builds in it wait for each other. Raises
    `CliError`, and then the existing layer remains.
    """
    with (work / "layer.building").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        relocked = update_lock(project, work)
        new, old = work / "layer.new", work / "layer.old"
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
        requirements.install(project.lock, new, architecture)
        manifest = _new_manifest(project, architecture)
        _remove_unused_files(new)
        _remove_translations(new, manifest["languages"])
        if not manifest["gis"] and not uses_gis(_modules_of_packages(new)):
            shutil.rmtree(new / GIS, ignore_errors=True)
        code.add_bytecode(new, "/opt/python", column_tables=False)
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        code.normalize_modes(new)
        built = _measure(new, project.root, relocked=relocked)
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
        Path(file).read_bytes() for file in (__file__, code.__file__, django_project.__file__)
    )
    return {
        **expected_manifest(project, architecture),
        "builder": hashlib.sha256(builder).hexdigest(),
    }


def _remove_unused_files(folder: Path) -> None:
    for name in ("bin", "tests"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in list(folder.rglob("*")):
        if NOT_SHIPPED.fullmatch(path.name) and path.is_file():
            path.unlink()
    for package in folder.iterdir():
        tests = list(package.glob("**/tests/"))
        if tests and not _imports_its_tests(package):
            for path in tests:
                shutil.rmtree(path, ignore_errors=True)  # A nested one is deleted already.


def _imports_its_tests(package: Path) -> bool:
    """Return whether a module outside the tests imports them, as in a few packages."""
    return any(
        "tests" not in module.relative_to(package).parts
        and IMPORTS_TESTS.search(module.read_bytes())
        for module in package.rglob("*.py")
    )


def _remove_translations(folder: Path, languages: list[str] | None) -> None:
    """Remove the translations, of Django and other packages, into languages the site lacks."""
    if languages is None:
        return
    used = set(map(_base_language, languages))
    available = {_base_language(path.name) for path in (folder / "django/conf/locale").glob("*/")}
    if not used <= available:
        return  # A code such as `no`, for which Django uses `nb`.
    for messages in list(folder.glob("**/LC_MESSAGES/")):
        if _base_language(messages.parent.name) not in used:
            shutil.rmtree(messages.parent)


def _base_language(code: str) -> str:
    """Return `pt` for `pt-br` or `pt_BR`, whose missing translations Django takes from `pt`."""
    return re.split("[-_@]", code.lower())[0]


def _modules_of_packages(folder: Path) -> list[Path]:
    """Return the modules of all packages except Django."""
    return [path for path in folder.rglob("*.py") if path.relative_to(folder).parts[0] != "django"]


def _measure(folder: Path, project: Path, *, relocked: bool) -> BuiltLayer:
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
    return BuiltLayer(
        zipped=zipped,
        unzipped=packages.total(),
        # Bytecode is about as large as its source.
        code=sum(
            path.stat().st_size * (2 if path.suffix == ".py" else 1)
            for path in code.shipped(project)
        ),
        packages=packages.most_common(),
        relocked=relocked,
    )
