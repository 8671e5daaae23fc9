"""Build packages that have no wheel from their source, the same everywhere.

uv verifies a source against its locked hash, and builds it with the tools in `build-tools.lock`,
also hashed, and without a compiler: a compiled package would depend on this machine. The result
depends on nothing else, so a layer is reproducible.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from djambda_cli.errors import CliError

TOOLS = Path(__file__).with_name("build-tools.lock")
OPTIONS = ["--build-constraints", str(TOOLS), "--require-build-hashes"]
ENVIRONMENT = {
    "CC": "false",
    "CXX": "false",
    "SOURCE_DATE_EPOCH": "315532800",  # 1980, the earliest time in a zip file.
    "TZ": "UTC",
}
NATIVE = {".dylib", ".pyd", ".so"}
SHOWN_LINES = 12
"""The number of lines at the end of a build's output that an error shows."""


def environment() -> dict[str, str]:
    """Return the environment of uv, without variables that could change what it builds."""
    kept = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
    return kept | ENVIRONMENT


def cache_folder(uv_cache: Path) -> Path:
    """Return a cache of its own: in uv's shared one, packages may be built by other tools."""
    inputs = TOOLS.read_bytes() + repr(ENVIRONMENT).encode()
    return uv_cache / f"djambda-{hashlib.sha256(inputs).hexdigest()[:12]}"


def build_error(stderr: str, requirements: str, target: str) -> CliError | None:
    """Return the error for uv's failed build of a package or download of its source.

    Return None if uv failed otherwise.
    `target` is the platform, as in "Python 3.13 on x86_64 Linux".
    """
    failed = re.search(r"Failed to (?:download and )?build `([^`]+)`", stderr)
    if not failed:
        return None
    lines = stderr.strip().splitlines()
    output = "\n".join([*lines[:3], *lines[3:][-SHOWN_LINES:]])
    package = failed[1].partition(" @ ")[0]
    if "Failed to fetch" in stderr:
        message = (
            f"{package} could not be downloaded: see above. Check the network, and the address of "
            f"the package in {requirements}."
        )
        return CliError(message, output=output)
    if "Failed to resolve requirements from" in stderr or "setup_requires" in stderr:
        reason = f"its source needs other build tools than the pinned ones in {TOOLS.name}"
    else:
        reason = "its source cannot be built without a compiler or other tools of this machine"
    return CliError(_message(package, reason, requirements, target), output=output)


def verify_pure(folder: Path, requirements: str, target: str) -> list[str]:
    """Return the packages that were built from source, as in "django-haystack 3.4.0".

    Raises `CliError` if one is not pure Python.
    """
    built = sorted(_built(folder), key=lambda distribution: distribution.name)
    for distribution in built:
        tags = re.findall(r"^Tag: *(\S+)", distribution.read_text("WHEEL") or "", re.MULTILINE)
        files = distribution.files or []
        if not all(tag.endswith("-none-any") for tag in tags) or any(
            file.suffix in NATIVE for file in files
        ):
            package = f"{distribution.name}=={distribution.version}"
            reason = "its source contains compiled code or requires a compiler"
            raise CliError(_message(package, reason, requirements, target))
    return [f"{distribution.name} {distribution.version}" for distribution in built]


def _built(folder: Path) -> Iterator[Distribution]:
    """Yield the packages that uv built: it records the settings of the build."""
    for distribution in distributions(path=[str(folder)]):
        if distribution.read_text("uv_build.json") is not None:
            yield distribution


def _message(package: str, reason: str, requirements: str, target: str) -> str:
    return (
        f"{package} cannot be installed: it has no wheel for {target}, and {reason}. Use a version "
        "that has one, or another package, such as psycopg2-binary instead of psycopg2; or build "
        "the wheel on such a machine, put it into a folder of the project and add `--find-links "
        f"./FOLDER` to {requirements}."
    )
