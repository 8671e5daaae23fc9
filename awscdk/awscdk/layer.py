"""Is the layer the right one? A wrong one deploys well and fails at the first import.

`layers/django/python` is built by `djambda layer`, whose stamp says for what, or by plain pip,
where the tags of the installed wheels tell (https://packaging.python.org/specifications/
platform-compatibility-tags/). Either way synth refuses a layer that Lambda could not load or that
lacks something that `django/requirements.txt` asks for.
"""

import hashlib
import json
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name

PYTHON = (3, 13)
STAMP = ".djambda-layer.json"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
REBUILD = (
    "build it with `djambda layer`, or with Python 3.13 on Linux: "
    "rm -r layers/django && pip install -r django/requirements.txt -t layers/django/python"
)


def problems(folder: Path, requirements: Path, architecture: str) -> list[str]:
    """What is wrong with the layer in `folder` for Python 3.13 on `architecture`; [] if nothing.

    `folder` holds `python/`; `requirements` is the file that it must have been built from.
    """
    python = folder / "python"
    if not python.is_dir() or not any(python.iterdir()):
        return [f"{_short(python)} is missing or empty, and Django is in it: {REBUILD}"]
    stamp = python / STAMP
    found = (
        _stamp_problems(json.loads(stamp.read_text()), requirements, architecture)
        if stamp.exists()
        else _wheel_problems(python, requirements, architecture)
    )
    return [f"{_short(python)} {problem}: {REBUILD}" for problem in found]


def _stamp_problems(stamp: dict[str, str], requirements: Path, architecture: str) -> list[str]:
    found = []
    if stamp["architecture"] != architecture:
        found.append(
            f"was built for {stamp['architecture']}, and LAMBDA_ARCHITECTURE is {architecture}"
        )
    wanted = ".".join(map(str, PYTHON))
    if stamp["python"] != wanted:
        found.append(f"was built for Python {stamp['python']}, and Lambda runs {wanted}")
    if stamp["requirements"] != hashlib.sha256(requirements.read_bytes()).hexdigest():
        found.append(f"was built before {_short(requirements)} changed")
    return found


def _wheel_problems(python: Path, requirements: Path, architecture: str) -> list[str]:
    installed = {canonicalize_name(each.name): each for each in distributions(path=[str(python)])}
    found = []
    for each in installed.values():
        tags = _tags(each)
        if tags and not any(_loads(tag, architecture) for tag in tags):
            found.append(
                f"holds {each.name} for {min(map(str, tags))}, which Python 3.13 on {architecture} "
                "Linux cannot load"
            )
    for line in _requirement_lines(requirements):
        wanted = Requirement(line)
        have = installed.get(canonicalize_name(wanted.name))
        if have is None or not wanted.specifier.contains(have.version, prereleases=True):
            found.append(f"lacks {wanted} of {_short(requirements)}")
    return found


def _requirement_lines(requirements: Path) -> list[str]:
    """The requirements that apply here; options and comments are pip's business."""
    lines = []
    for raw in requirements.read_text().splitlines():
        line = raw.partition(" #")[0].partition(" --hash")[0].rstrip(" \\")
        if not line or line.startswith(("#", "-", " ")):
            continue
        try:
            marker = Requirement(line).marker
        except InvalidRequirement:
            continue
        if marker is None or marker.evaluate({"sys_platform": "linux"}):
            lines.append(line)
    return lines


def _tags(distribution: Distribution) -> set[Tag]:
    wheel = (distribution.read_text("WHEEL") or "").splitlines()
    return {
        tag
        for line in wheel
        if line.startswith("Tag:")
        for tag in parse_tag(line.partition(":")[2].strip())
    }


def _loads(tag: Tag, architecture: str) -> bool:
    """Whether CPython 3.13 on Amazon Linux 2023 (glibc 2.34) loads what has this tag."""
    platform_fits = tag.platform == "any" or (
        tag.platform.startswith(("manylinux", "linux"))
        and tag.platform.endswith(MACHINES[architecture])
    )
    major, minor = PYTHON
    interpreter_fits = (
        tag.interpreter in {f"py{major}", f"cp{major}{minor}"}
        or (tag.abi == "abi3" and tag.interpreter.startswith(f"cp{major}"))
        or tag.interpreter.startswith(f"py{major}")
    )
    return platform_fits and interpreter_fits


def _short(path: Path) -> str:
    return "/".join(path.parts[-3:] if path.suffix == "" else path.parts[-2:])
