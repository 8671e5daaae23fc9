"""What the layer must be. A wrong one deploys well and fails at the first import.

`layers/django/python` is built by `djambda layer` (`cli/djambda_cli/layer.py`), whose stamp says
for what, or by plain pip, where the tags of the installed wheels tell
(https://packaging.python.org/specifications/platform-compatibility-tags/). Either way synth refuses
a layer that Lambda could not load or that lacks something that the project asks for.
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
from awscdk.project import fingerprint, languages, optional_parts, requirement_lines

PYTHON = (3, 13)
GLIBC_MINOR = 34
"""Amazon Linux 2023 has glibc 2.34: https://docs.aws.amazon.com/linux/al2023/ug/glibc-gcc-and-binutils.html"""
SIZE_LIMIT = 250 * 1024 * 1024
"""Bytes of a function and its layers, unzipped:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
STAMP = ".djambda-layer.json"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
REBUILD = (
    "build it with `djambda layer`, or with Python 3.13 on Linux: "
    "rm -r layers/django && pip install -r django/requirements.txt -t layers/django/python "
    "(elsewhere add --only-binary=:all: --platform manylinux2014_{machine})"
)
OUTDATED = {
    "architecture": "was built for {have}, and LAMBDA_ARCHITECTURE is {want}",
    "python": "was built for Python {have}, and Lambda runs {want}",
    "requirements": "was built before {requirements} changed",
    "lock": "was built before {lock} changed",
    "languages": "was built before LANGUAGES or LANGUAGE_CODE of the settings changed",
}


def problems(folder: Path, requirements: Path, architecture: str) -> list[str]:
    """What is wrong with the layer in `folder` for Python 3.13 on `architecture`; [] if nothing.

    `folder` holds `python/`; `requirements` is the file that it must have been built from, in the
    project's folder.
    """
    python = folder / "python"
    rebuild = REBUILD.format(machine=MACHINES.get(architecture, "x86_64"))
    if not python.is_dir() or not any(python.iterdir()):
        return [f"{_short(python)} is missing or empty, and Django is in it: {rebuild}"]
    if architecture not in MACHINES:
        return []  # A problem of the configuration, reported there.
    found = (
        _stamp_problems(python / STAMP, requirements, architecture)
        if (python / STAMP).exists()
        else _wheel_problems(python, requirements, architecture)
    ) + _file_problems(python)
    return [f"{_short(python)} {problem}: {rebuild}" for problem in found]


def purpose(requirements: Path, architecture: str) -> dict[str, Any]:
    """What a layer that is built now is built for: the part of its stamp that must not change."""
    return {
        "architecture": architecture,
        "python": ".".join(map(str, PYTHON)),
        "requirements": fingerprint(requirements),
        "lock": fingerprint(requirements.with_suffix(".lock")),
        "languages": languages(requirements.parent),
    }


def _stamp_problems(file: Path, requirements: Path, architecture: str) -> list[str]:
    wanted = purpose(requirements, architecture)
    try:
        stamp = json.loads(file.read_text())
        outdated = [name for name in wanted if stamp[name] != wanted[name]]
        lacking = optional_parts(shipped(requirements.parent)).intersection(stamp["left_out"])
    except (ValueError, TypeError, KeyError):
        return [f"has a stamp ({STAMP}) that cannot be read"]
    found = [
        OUTDATED[name].format(
            have=stamp[name],
            want=wanted[name],
            requirements=_short(requirements),
            lock=_short(requirements.with_suffix(".lock")),
        )
        for name in outdated
    ]
    if lacking:
        found.append(f"was built without what the code names now ({', '.join(sorted(lacking))})")
    return found


def _file_problems(python: Path) -> list[str]:
    files = [path.stat() for path in python.rglob("*") if path.is_file()]
    found = []
    if not all(file.st_mode & 0o004 for file in files):
        found.append("has files that only their owner may read, and Lambda is somebody else")
    size = sum(file.st_size for file in files)
    if size > SIZE_LIMIT:
        found.append(
            f"has {size / 1e6:.0f} MB, and Lambda takes {SIZE_LIMIT / 1e6:.0f} MB with the code"
        )
    return found


def _wheel_problems(python: Path, requirements: Path, architecture: str) -> list[str]:
    installed = {canonicalize_name(each.name): each for each in distributions(path=[str(python)])}
    found = []
    for each in installed.values():
        tags = _tags(each)
        if tags and not tags & _loadable(architecture):
            found.append(
                f"holds {each.name} for {min(map(str, tags))}, which Python 3.13 on {architecture} "
                "Linux cannot load"
            )
    for wanted in _requirements(requirements):
        have = installed.get(canonicalize_name(wanted.name))
        if have is None or not wanted.specifier.contains(have.version, prereleases=True):
            found.append(f"lacks {wanted} of {_short(requirements)}")
    return found


def _requirements(file: Path) -> list[Requirement]:
    """The requirements that apply on Lambda; options, URLs and files are pip's business."""
    wanted = []
    for line in requirement_lines(file):
        try:
            requirement = Requirement(line.partition(" --hash")[0])
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker is None or marker.evaluate({"sys_platform": "linux", "python_version": "3.13"}):
            wanted.append(requirement)
    return wanted


def _tags(distribution: Distribution) -> set[Tag]:
    wheel = (distribution.read_text("WHEEL") or "").splitlines()
    return {
        tag
        for line in wheel
        if line.startswith("Tag:")
        for tag in parse_tag(line.partition(":")[2].strip())
    }


@cache
def _loadable(architecture: str) -> frozenset[Tag]:
    """The tags of what CPython 3.13 on Amazon Linux 2023 loads."""
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
    """The path as it is in the checkout: below the folder that holds `layers` or `django`."""
    top = next((part for part in ("layers", "django") if part in path.parts), path.parts[-1])
    return "/".join(path.parts[path.parts.index(top) :])
