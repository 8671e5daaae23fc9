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
from awscdk.tree import shown, verify, walk

PYTHON = (3, 13)
GLIBC_MINOR = 34
"""Amazon Linux 2023 has glibc 2.34: https://docs.aws.amazon.com/linux/al2023/ug/glibc-gcc-and-binutils.html"""
SIZE_LIMIT = 250 * 1024 * 1024
"""Bytes of a function and its layers, unzipped:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
MANIFEST = ".djambda-layer.json"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
REBUILD = (
    "build it with `djambda layer`, or with Python 3.13 on Linux: "
    "rm -r layers/django && pip install -r django/requirements.txt -t layers/django/python "
    "(on other systems add --only-binary=:all: --platform manylinux2014_{machine})"
)
OUTDATED = {
    "architecture": "was built for {actual}, but LAMBDA_ARCHITECTURE is {expected}",
    "python": "was built for Python {actual}, but Lambda runs {expected}",
    "requirements": "was built before {requirements} changed",
    "lock": "was built before {lock} changed",
    "languages": "was built before LANGUAGES or LANGUAGE_CODE of the settings changed",
    "gis": "was built without django.contrib.gis, which the code uses",
}


def problems(project: Project, architecture: str) -> list[str]:
    """Return the problems of the project's layer for Python 3.13 on `architecture`."""
    python = project.layer / "python"
    rebuild = REBUILD.format(machine=MACHINES.get(architecture, "x86_64"))
    if not python.is_dir() or not any(python.iterdir()):
        return [f"{_short(python)} is missing or empty: {rebuild}"]
    if architecture not in MACHINES:
        return []  # The configuration reports it.
    try:
        build_problems = (
            _manifest_problems(python / MANIFEST, project, architecture)
            if (python / MANIFEST).exists()
            else _wheel_problems(python, project.requirements, architecture)
        )
        reported = [*build_problems, *_file_problems(python)]
    except ProjectError as error:
        return [str(error)]
    return [f"{_short(python)} {problem}: {rebuild}" for problem in reported]


def expected_manifest(project: Project, architecture: str) -> dict[str, Any]:
    """Return the manifest of a layer that is built now, without the builder's own fields."""
    return {
        "architecture": architecture,
        "python": ".".join(map(str, PYTHON)),
        "requirements": fingerprint(project),
        "lock": fingerprint_of_lock(project),
        "languages": languages(project.root),
        "gis": uses_gis(shipped(project.root)),
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


def _file_problems(python: Path) -> list[str]:
    found = list(walk(python))
    files = [(python / path).stat() for path, reason in found if not reason]
    reported = [f"contains {shown(python, path)}, a {reason}" for path, reason in found if reason]
    for path, reason in found:
        verify(python, path, reason)
    if not all(file.st_mode & 0o004 for file in files):
        reported.append("has files that only their owner can read, and Lambda is another user")
    size = sum(file.st_size for file in files)
    if size > SIZE_LIMIT:
        reported.append(
            f"has {size / 1e6:.0f} MB unzipped, and Lambda's limit with the code is "
            f"{SIZE_LIMIT / 1e6:.0f} MB"
        )
    return reported


def _wheel_problems(python: Path, requirements: Path, architecture: str) -> list[str]:
    installed = {
        canonicalize_name(distribution.name): distribution
        for distribution in distributions(path=[str(python)])
    }
    reported = []
    for distribution in installed.values():
        tags = _tags(distribution)
        if tags and not tags & _loadable_tags(architecture):
            reported.append(
                f"contains {distribution.name} for {min(map(str, tags))}, which Python 3.13 on "
                f"{architecture} Linux cannot load"
            )
    for requirement in _requirements(requirements):
        match = installed.get(canonicalize_name(requirement.name))
        if match is None or not requirement.specifier.contains(match.version, prereleases=True):
            reported.append(f"lacks {requirement} of {_short(requirements)}")
    return reported


def _requirements(file: Path) -> list[Requirement]:
    """Return the requirements that apply on Lambda, without options, URLs and files."""
    requirements = []
    for line in requirement_lines(file):
        try:
            requirement = Requirement(line.partition(" --hash")[0])
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker is None or marker.evaluate({"sys_platform": "linux", "python_version": "3.13"}):
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
def _loadable_tags(architecture: str) -> frozenset[Tag]:
    """Return the tags of wheels that CPython 3.13 on Amazon Linux 2023 can load."""
    machine = MACHINES[architecture]
    names = [f"manylinux_2_{minor}" for minor in range(5, GLIBC_MINOR + 1)]
    names += ["manylinux1", "manylinux2010", "manylinux2014", "linux"]
    platforms = [f"{name}_{machine}" for name in names]
    interpreter = "cp{}{}".format(*PYTHON)
    return frozenset(
        (
            *cpython_tags(PYTHON, [interpreter], platforms),
            *compatible_tags(PYTHON, interpreter, platforms),
        )
    )


def _short(path: Path) -> str:
    """Return the path relative to the checkout: the part that starts with `layers` or `django`."""
    top = next((part for part in ("layers", "django") if part in path.parts), path.parts[-1])
    return "/".join(path.parts[path.parts.index(top) :])
