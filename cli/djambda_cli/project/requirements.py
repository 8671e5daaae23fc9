"""Install locked packages for Lambda with uv, on any machine and without Docker."""

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from awscdk.discovery import Project
from djambda_cli.errors import CliError
from djambda_cli.paths import tool
from djambda_cli.project import source_builds
from djambda_cli.project.runtime_packages import logical_lines

PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}


@dataclass(frozen=True)
class Target:
    """The Python that packages are for, and the architecture, if it matters."""

    python: str
    architecture: str = ""

    def __str__(self) -> str:
        return " ".join(["Python", self.python, "on", *self.architecture.split(), "Linux"])


def install(project: Project, folder: Path, architecture: str) -> list[str]:
    """Install the project's locked packages into `folder` for Lambda.

    Return the packages that were built from source. Raises `CliError`.
    """
    lock_file, requirements = project.lock, short_name(project.requirements)
    target = Target(project.python, architecture)
    options = ["--target", str(folder), "--python-platform", PLATFORMS[architecture]]
    options += ["--no-compile", "--link-mode=copy"]
    if not project.in_checkout:  # Its lock may have substitutes for what other packages require.
        options.append("--no-deps")
    lines = logical_lines(lock_file.read_text())
    local = [line for line in lines if is_local(line)]
    with tempfile.NamedTemporaryFile("w", dir=lock_file.parent, suffix=".txt") as hashed:
        hashed.write("".join(f"{line}\n" for line in lines if line not in local))
        hashed.flush()
        uv_pip(
            ["install", "--require-hashes", "-r", hashed.name, *options],
            lock_file.parent,
            f"Could not install {short_name(lock_file)}. Every package must have a wheel for "
            f"{target}, or a source of pure Python, and its hash must be the locked one.",
            requirements,
            target,
        )
    if local:
        uv_pip(
            ["install", *local, *options],
            lock_file.parent,
            f"Could not install the local packages of {requirements}: {', '.join(local)}.",
            requirements,
            target,
        )
    return source_builds.verify_pure(folder, requirements, str(target))


def is_local(line: str) -> bool:
    """Return whether a line of a lock names a folder or a repository, which have no hash."""
    location = line.partition(" @ ")[2] or line
    return location.startswith(("/", "./", "../", "git+", "file:"))


def short_name(file: Path) -> str:
    """Return the name of a project's file with its folder, as in `django/requirements.txt`."""
    return f"{file.parent.name}/{file.name}"


def uv_pip(
    arguments: list[str],
    folder: Path,
    failure: str,
    requirements: str,
    target: Target,
) -> None:
    """Run `uv pip` in a folder, to which paths in the files that it reads are relative.

    Raises `CliError` with uv's output. If a package of the file `requirements` cannot be built for
    the platform `target`, the error names it; otherwise its message is `failure`.
    """
    environment = source_builds.environment()
    uv_cache = _uv(["cache", "dir"], folder, environment).stdout.strip()
    cache = source_builds.cache_folder(Path(uv_cache))
    completed = _uv(
        ["pip", *arguments, "--quiet", "--cache-dir", str(cache), *source_builds.OPTIONS]
        + ["--python", sys.executable, "--python-version", target.python],
        folder,
        environment,
    )
    if completed.returncode:
        if error := source_builds.build_error(completed.stderr, requirements, str(target)):
            raise error
        # For a hash that does not match, uv lists all locked hashes of the package.
        output = re.sub(
            r"Expected:\s+(sha256:\w+\s+)+", "Expected: the locked one\n", completed.stderr
        )
        raise CliError(failure, output=output)


def _uv(
    arguments: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("uv"), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
