"""Remove the files of a layer that are known to be unused.

Each rule names a package whose code was read, because a file's name does not show whether the
package reads it at run time: some read `.pyi`, `.po` or `tests`. `docs/decisions.md` lists the
megabytes that each rule saves.
"""

import csv
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from awscdk.project import uses_gis

GIS = "django/contrib/gis"
"""It needs GDAL and GEOS, which Lambda does not have."""
TESTED = ("numpy", "pandas")
"""Packages that contain their tests: 22 MB unzipped."""
INSTALLER_FILES = (".lock", "*.dist-info/uv_build.json", "*.dist-info/uv_cache.json")


def remove_unused_files(folder: Path, languages: list[str] | None, *, keeps_gis: bool) -> list[str]:
    """Remove unused files from a layer of a site with these languages; None means any.

    Return the omitted parts of packages, for people.
    """
    omitted = []
    for pattern in INSTALLER_FILES:
        for path in folder.glob(pattern):
            path.unlink()
    _remove_launchers(folder / "bin")
    for path in (folder / "django").glob("**/LC_MESSAGES/*.po"):
        path.unlink()
    if _remove_translations(folder / "django", languages or []):
        omitted.append("Django's translations into languages that are not in LANGUAGES")
    if not keeps_gis and not uses_gis(_modules(folder, without="django")):
        shutil.rmtree(folder / GIS, ignore_errors=True)
        omitted.append("django.contrib.gis")
    omitted += [f"{name}'s tests" for name in TESTED if _remove_tests(folder, name)]
    for record in folder.glob("*.dist-info/RECORD"):
        _update_record(folder, record)
    return omitted


def _remove_launchers(folder: Path) -> None:
    """Remove the scripts that start with the path of this machine's Python."""
    for path in folder.glob("*"):
        if path.is_file() and re.match(rb"#!/.*python|#!/bin/sh\n'''exec' ", path.read_bytes()):
            path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _remove_translations(django: Path, languages: list[str]) -> bool:
    """Remove Django's translations into other languages than these; return whether it has some."""
    used = set(map(_base_language, languages))
    available = {_base_language(path.name) for path in (django / "conf" / "locale").glob("*/")}
    if not used or not used <= available:
        return False  # All of them, or a code such as `no`, for which Django uses `nb`.
    unused = [
        messages
        for messages in django.glob("**/LC_MESSAGES/")
        if _base_language(messages.parent.name) not in used
    ]
    for messages in unused:
        shutil.rmtree(messages)
    return bool(unused)


def _base_language(code: str) -> str:
    """Return `pt` for `pt-br` or `pt_BR`, whose missing translations Django takes from `pt`."""
    return re.split("[-_@]", code.lower())[0]


def _remove_tests(folder: Path, package: str) -> bool:
    """Remove a package's `tests` folders, unless a module outside of them names one.

    Return whether there were any.
    """
    tests = [path for path in (folder / package).glob("**/tests/") if path.is_dir()]
    absolute = re.compile(rb"\b%s[\w.]*\.tests\b" % package.encode())
    relative = re.compile(rb"^\s*(?:from|import)\b.*\btests\b", re.MULTILINE)
    for module in _modules(folder) if tests else ():
        names = module.relative_to(folder).parts
        pattern = relative if names[0] == package else absolute
        if not (names[0] == package and "tests" in names) and pattern.search(module.read_bytes()):
            return False
    for path in tests:
        shutil.rmtree(path, ignore_errors=True)  # A nested one is deleted already.
    return bool(tests)


def _modules(folder: Path, *, without: str = "") -> Iterator[Path]:
    """Yield the modules of all packages except one."""
    for path in sorted(folder.rglob("*.py")):
        if path.is_file() and path.relative_to(folder).parts[0] != without:
            yield path


def _update_record(folder: Path, record: Path) -> None:
    """List the package's remaining files. Hashes and sizes are optional, and unused on Lambda.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    rows = csv.reader(io.StringIO(record.read_text("utf-8")))
    names = sorted({row[0] for row in rows if row and (folder / row[0]).exists()})
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([name, "", ""] for name in names)
    record.write_text(lines.getvalue(), "utf-8")
