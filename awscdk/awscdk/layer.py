"""Check that Lambda can load the layer and that it has what the project requires.

A wrong layer deploys without an error and fails at the first import. `layers/django/python` is
built by `djambda layer` (`cli/djambda_cli/project/layer.py`), which records in a manifest what the
layer was built for, or by plain pip, where the installed wheels' tags show it
(https://packaging.python.org/specifications/platform-compatibility-tags/).
"""

import json
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags, parse_tag
from packaging.utils import canonicalize_name

from awscdk.code import shipped
from awscdk.discovery import Project
from awscdk.project import fingerprint, fingerprint_of_lock, languages, requirement_lines, uses_gis
from awscdk.project_file import ProjectError
from awscdk.python_version import applies
from awscdk.tree import shown, verify, walk

GLIBC_MINOR = 34
"""Amazon Linux 2023 has glibc 2.34: https://docs.aws.amazon.com/linux/al2023/ug/glibc-gcc-and-binutils.html"""
SIZE_LIMIT = 250 * 1024 * 1024
"""Bytes of a function and its layers, unzipped:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
MANIFEST = ".djambda-layer.json"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
REBUILD = (
    "build it with `djambda layer`, or with Python {python} on Linux: "
    "rm -r layers/django && pip install -r django/requirements.txt -t layers/django/python "
    "(on other systems add --only-binary=:all: --platform manylinux2014_{machine})"
)
OUTDATED = {
    "architecture": "was built for {actual}, but LAMBDA_ARCHITECTURE is {expected}",
    "python": "was built for Python {actual}, but the project runs on {expected}",
    "requirements": "was built before {requirements} changed",
    "lock": "was built before {lock} changed",
    "languages": "was built before LANGUAGES or LANGUAGE_CODE of the settings changed",
    "gis": "was built without django.contrib.gis, which the code uses",
}


def problems(project: Project, architecture: str) -> list[str]:
    """Return the problems of the project's layer for its Python on `architecture`."""
    folder = project.layer / "python"
    try:
        machine = MACHINES.get(architecture, "x86_64")
        rebuild = REBUILD.format(python=project.python, machine=machine)
        if not folder.is_dir() or not any(folder.iterdir()):
            return [f"{_short(folder)} is missing or empty: {rebuild}"]
        if architecture not in MACHINES:
            return []  # The configuration reports it.
        build_problems = (
            _manifest_problems(folder / MANIFEST, project, architecture)
            if (folder / MANIFEST).exists()
            else _wheel_problems(folder, project, architecture)
        )
        reported = [*build_problems, *_file_problems(folder)]
    except ProjectError as error:
        return [str(error)]
    return [f"{_short(folder)} {problem}: {rebuild}" for problem in reported]


def expected_manifest(project: Project, architecture: str) -> dict[str, Any]:
    """Return the manifest of a layer that is built now, without the builder's own fields."""
    files = list(shipped(project.root, project.file.exclude))
    return {
        "architecture": architecture,
        "python": project.python,
        "requirements": fingerprint(project),
        "lock": fingerprint_of_lock(project),
        "languages": languages(files),
        "gis": uses_gis(files),
    }


def _manifest_problems(file: Path, project: Project, architecture: str) -> list[str]:
    expected = expected_manifest(project, architecture)
    try:
        actual = json.loads(file.read_text())
        outdated = [name for name in expected if actual[name] != expected[name]]
    except (ValueError, TypeError, KeyError):
        return [f"has a manifest ({MANIFEST}) that is damaged or of another djambda version"]
    return [
        OUTDATED[name].format(
            actual=actual[name],
            expected=expected[name],
            requirements=_short(project.requirements),
            lock=_short(project.lock),
        )
        for name in outdated
        if name != "gis" or expected["gis"]  # A layer with an unused django.contrib.gis works.
    ]


def _file_problems(folder: Path) -> list[str]:
    found = list(walk(folder))
    files = [(folder / path).stat() for path, reason in found if not reason]
    reported = [f"contains {shown(folder, path)}, a {reason}" for path, reason in found if reason]
    for path, reason in found:
        verify(folder, path, reason)
    if not all(file.st_mode & 0o004 for file in files):
        reported.append("has files that only their owner can read, and Lambda is another user")
    size = sum(file.st_size for file in files)
    if size > SIZE_LIMIT:
        reported.append(
            f"has {size / 1e6:.0f} MB unzipped, and Lambda's limit with the code is "
            f"{SIZE_LIMIT / 1e6:.0f} MB"
        )
    return reported


def _wheel_problems(folder: Path, project: Project, architecture: str) -> list[str]:
    installed = {
        canonicalize_name(distribution.name): distribution
        for distribution in distributions(path=[str(folder)])
    }
    reported = []
    for distribution in installed.values():
        tags = _tags(distribution)
        if tags and not tags & _loadable_tags(project.python, architecture):
            reported.append(
                f"contains {distribution.name} for {min(map(str, tags))}, which Python "
                f"{project.python} on {architecture} Linux cannot load"
            )
    for requirement in _requirements(project.requirements, project.python):
        match = installed.get(canonicalize_name(requirement.name))
        if match is None or not requirement.specifier.contains(match.version, prereleases=True):
            reported.append(f"lacks {requirement} of {_short(project.requirements)}")
    return reported


def _requirements(file: Path, python: str) -> list[Requirement]:
    """Return the requirements that apply on Lambda, without options, URLs and files."""
    requirements = []
    for line in requirement_lines(file):
        try:
            requirement = Requirement(line.partition(" --hash")[0])
        except InvalidRequirement:
            continue
        if applies(requirement.marker, python):
            requirements.append(requirement)
    return requirements


def _tags(distribution: Distribution) -> set[Tag]:
    wheel = (distribution.read_text("WHEEL") or "").splitlines()
    return {
        tag
        for line in wheel
        if line.startswith("Tag:")
        for tag in parse_tag(line.partition(":")[2].strip())
    }


@cache
def _loadable_tags(python: str, architecture: str) -> frozenset[Tag]:
    """Return the tags of wheels that this CPython on Amazon Linux 2023 can load."""
    machine = MACHINES[architecture]
    names = [f"manylinux_2_{minor}" for minor in range(5, GLIBC_MINOR + 1)]
    names += ["manylinux1", "manylinux2010", "manylinux2014", "linux"]
    platforms = [f"{name}_{machine}" for name in names]
    interpreter = f"cp{python.replace('.', '')}"
    version = tuple(map(int, python.split(".")))
    return frozenset(
        (
            *cpython_tags(version, [interpreter], platforms),
            *compatible_tags(version, interpreter, platforms),
        )
    )


def _short(path: Path) -> str:
    """Return the path relative to the checkout: the part that starts with `layers` or `django`."""
    top = next((part for part in ("layers", "django") if part in path.parts), path.parts[-1])
    return "/".join(path.parts[path.parts.index(top) :])
