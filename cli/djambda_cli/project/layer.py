"""Build `layers/django/python`: the Django Lambda's dependencies, for Lambda's platform.

`django/requirements.txt` is what people write; `requirements.lock` beside it, made here, has every
package with its hashes. uv installs the locked wheels, and cross-builds without Docker. What a
function never reads is left out, and bytecode that Lambda's read-only file system cannot make is
put in: the same input gives the same files. A stamp says what the layer was made for and without;
`awscdk/awscdk/layer.py` has the rules and checks them at synth.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from awscdk import code
from awscdk import project as django_project
from awscdk.layer import PYTHON, SIZE_LIMIT, STAMP, purpose
from awscdk.project import fingerprint, optional_parts, requirement_lines
from djambda_cli.errors import CliError
from djambda_cli.paths import LAYER, ROOT, tool
from djambda_cli.steps import Steps
from djambda_cli.terminal import stdout

PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
NOT_SHIPPED = re.compile(r"(.*\.(c|h|po|pxd|pyi|pyx)|RECORD|py\.typed|uv_cache\.json|\.lock)")
IMPORTS_TESTS = re.compile(rb"^\s*(?:from|import)\s+[\w.]*\btests\b", re.MULTILINE)
GIS = "django/contrib/gis"
"""It loads GDAL and GEOS, which Lambda does not have."""
AWS_DATA = ("botocore/data", "boto3/data")
AWS_SDK = ("boto3", "botocore", "s3transfer")
FOR_CREDENTIALS = {"signin", "sso", "sso-oidc", "sts"}
LARGE = 0.8
"""The share of Lambda's limit from which on a layer's largest packages are of interest."""


@dataclass(frozen=True)
class Built:
    """A finished layer, its sizes in bytes.

    `zipped` is about the CDK's zip. `code` is about the Django function's own, unzipped, which
    counts against the same limit. `packages` has the unzipped sizes, the largest first.
    `relocked`: requirements.lock was made again for it.
    """

    zipped: int
    unzipped: int
    code: int
    packages: list[tuple[str, int]]
    relocked: bool

    @property
    def share(self) -> float:
        """How much of Lambda's limit the layer and the code take: 1.0 is all of it."""
        return (self.unzipped + self.code) / SIZE_LIMIT

    @property
    def largest(self) -> str:
        """The packages that take most, for people."""
        return ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in self.packages[:5])


def layer(
    architecture: Annotated[
        str,
        typer.Option(help="x86_64 or arm64.", envvar="LAMBDA_ARCHITECTURE"),
    ] = "x86_64",
) -> None:
    """Build the layer with Django's dependencies for Lambda.

    Example: `djambda layer --architecture arm64`
    """
    if architecture not in PLATFORMS:
        raise CliError(f"Lambda has no architecture {architecture!r}: {' or '.join(PLATFORMS)}.")
    with Steps(stdout).step(f"Layer for {architecture}"):
        built = build(architecture)
    stdout.print(
        f"""
  {LAYER.relative_to(ROOT)}
  Zipped    {built.zipped / 1e6:.1f} MB, about
  Unzipped  {built.unzipped / 1e6:.1f} MB: with the code {built.share:.0%} of Lambda's 250 MiB"""
    )
    if built.relocked:
        stdout.print("  Lock      django/requirements.lock is new: commit it")
    if built.share >= LARGE:
        stdout.print(f"  [yellow]Largest   {built.largest}[/yellow]", soft_wrap=True)


def is_current(architecture: str, root: Path = ROOT) -> bool:
    """Whether the layer that is there is the one that would be built now."""
    project = root / "django"
    try:
        stamp = json.loads((_place(root) / STAMP).read_text())
        optional = {*stamp["named"], *stamp["left_out"]}
        named = sorted(optional & optional_parts(code.shipped(project)))
        fresh = _purpose(project, architecture)
        return bool(stamp == {**fresh, "named": named, "left_out": stamp["left_out"]})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return False


def build(architecture: str, root: Path = ROOT) -> Built:
    """Build the layer of the checkout `root` and put it in place when it is complete.

    Raises CliError, and then the layer that was there stays. Other builds wait for this one.
    """
    local, project = root / ".local", root / "django"
    local.mkdir(exist_ok=True)
    with (local / "layer.building").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        relocked = _lock(project / "requirements.txt", local)
        fresh, old = local / "layer.new", local / "layer.old"
        for folder in (fresh, old):
            shutil.rmtree(folder, ignore_errors=True)
        _install(fresh, project / "requirements.lock", architecture)
        _remove_what_never_runs(fresh)
        stamp = _purpose(project, architecture)
        _remove_languages(fresh, stamp["languages"])
        stamp |= _remove_optional_parts(fresh, project)
        code.add_bytecode(fresh, "/opt/python", column_tables=False)
        (fresh / STAMP).write_text(json.dumps(stamp, indent=1) + "\n")
        code.normalize_modes(fresh)
        built = _measured(fresh, project, relocked=relocked)
        if built.share > 1:
            raise CliError(
                f"The layer would have {built.unzipped / 1e6:.0f} MB unzipped. With the code, "
                f"Lambda takes {SIZE_LIMIT / 1e6:.0f} MB. The largest packages are "
                f"{built.largest}: take out of django/requirements.txt what Django can do without."
            )
        place = _place(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            place.rename(old)
        fresh.rename(place)
        shutil.rmtree(old, ignore_errors=True)
        return built


def _place(root: Path) -> Path:
    return root / "layers" / "django" / "python"


def _purpose(project: Path, architecture: str) -> dict[str, Any]:
    """What a layer is built for, and by which version of this: CloudFormation and the CDK look at
    the stamp, but not at bytecode."""
    builder = b"".join(
        Path(file).read_bytes() for file in (__file__, code.__file__, django_project.__file__)
    )
    return {
        **purpose(project / "requirements.txt", architecture),
        "builder": hashlib.sha256(builder).hexdigest(),
    }


def _lock(requirements: Path, local: Path) -> bool:
    """Make requirements.lock if it was not made from what requirements.txt says now; whether."""
    if not requirements.exists():
        raise CliError(
            f"{_name(requirements)} is missing. It names what Django runs with, one package in a "
            "line: Django==6.1.3"
        )
    lock = requirements.with_suffix(".lock")
    first_line = (
        "# Made by `djambda layer` from requirements.txt: commit both, change only that. "
        f"{fingerprint(requirements)}\n"
    )
    if lock.exists() and lock.read_text().startswith(first_line):
        return False
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        raise CliError(
            f"{_name(lock)} was not made from {_name(requirements)} as it is now. Nothing is "
            "locked in CI: run `djambda layer` where you work, and commit the lock with it."
        )
    fresh = local / "requirements.lock"
    # uv keeps the versions that it finds there and that still fit.
    fresh.write_text(
        "".join(f"{line}\n" for line in requirement_lines(lock) if not _is_option(line))
    )
    _uv(
        ["compile", requirements.name, "--output-file", str(fresh), "--universal"]
        + ["--generate-hashes", "--no-header"],
        requirements,
        f"{_name(requirements)} cannot be locked: correct what is named above. Lambda takes wheels "
        "only, so each package needs to exist as one.",
    )
    options = [f"{line}\n" for line in requirement_lines(requirements) if _is_option(line)]
    fresh.write_text("".join([first_line, *options, fresh.read_text()]))
    fresh.replace(lock)
    return True


def _is_option(line: str) -> bool:
    """Whether a line says where packages come from; those of included files are there already."""
    return bool(re.match("-(?!r|c|-requirement|-constraint)", line))


def _install(folder: Path, lock: Path, architecture: str) -> None:
    _uv(
        ["install", "--require-hashes", "-r", lock.name, "--target", str(folder)]
        + ["--python-platform", PLATFORMS[architecture], "--no-compile", "--link-mode=copy"],
        lock,
        f"The layer could not be built from {_name(lock)}. Lambda takes wheels only: a package "
        f"without a {architecture} wheel for Python {_python()} cannot be in it. One whose hash "
        "does not match is not the one that was locked.",
    )


def _uv(arguments: list[str], file: Path, complaint: str) -> None:
    """Run `uv pip` beside a file that it reads. Raises CliError with uv's words."""
    done = subprocess.run(
        [tool("uv"), "pip", *arguments, "--quiet", "--only-binary=:all:"]
        + ["--python", sys.executable, "--python-version", _python()],
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        # Beside a file's hash that is not locked, uv lists those of all files that are.
        said = re.sub(r"Expected:\s+(sha256:\w+\s+)+", f"Expected: {file.name}\n", done.stderr)
        raise CliError(complaint, output=said)


def _remove_what_never_runs(folder: Path) -> None:
    for name in ("bin", "tests"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in list(folder.rglob("*")):
        if NOT_SHIPPED.fullmatch(path.name) and path.is_file():
            path.unlink()
    for package in folder.iterdir():
        tests = list(package.glob("**/tests/"))
        if tests and not _imports_tests(package):
            for path in tests:
                shutil.rmtree(path, ignore_errors=True)  # One in another is gone with that.


def _imports_tests(package: Path) -> bool:
    """Whether what is no test imports one, as in a few packages."""
    return any(
        "tests" not in module.relative_to(package).parts
        and IMPORTS_TESTS.search(module.read_bytes())
        for module in package.rglob("*.py")
    )


def _remove_languages(folder: Path, languages: list[str] | None) -> None:
    """Remove translations of Django and others that the site does not have."""
    if languages is None:
        return
    wanted = set(map(_language, languages))
    known = {_language(each.name) for each in (folder / "django/conf/locale").glob("*/")}
    if not wanted <= known:
        return  # A code such as `no`, which Django takes for `nb`.
    for messages in list(folder.glob("**/LC_MESSAGES/")):
        if _language(messages.parent.name) not in wanted:
            shutil.rmtree(messages.parent)


def _language(code: str) -> str:
    """The language of `pt-br` or `pt_BR`, which also falls back on it: `pt`."""
    return re.split("[-_@]", code.lower())[0]


def _remove_optional_parts(folder: Path, project: Path) -> dict[str, list[str]]:
    """Remove of Django and boto3 the parts that neither project nor packages name.

    Returns the names of those that are `left_out`, and of those that the project has `named`.
    """
    parts: dict[str, list[Path]] = {"gis": [folder / GIS]} if (folder / GIS).exists() else {}
    for data in AWS_DATA:
        for service in (folder / data).glob("*/"):
            parts.setdefault(service.name, []).append(service)
    others = (
        module
        for module in folder.rglob("*.py")
        if module.relative_to(folder).parts[0] not in {"django", *AWS_SDK}
    )
    by_project = optional_parts(code.shipped(project))
    left_out = parts.keys() - by_project - optional_parts(others) - FOR_CREDENTIALS
    for name in left_out:
        for path in parts[name]:
            shutil.rmtree(path)
    return {"named": sorted(parts.keys() & by_project), "left_out": sorted(left_out)}


def _measured(folder: Path, project: Path, *, relocked: bool) -> Built:
    packages: Counter[str] = Counter()
    packed = folder.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                inside = path.relative_to(folder)
                archive.write(path, "python" / inside)
                package = inside.parts[0].partition("-")[0].removesuffix(".libs")
                packages[package] += path.stat().st_size
    zipped = packed.stat().st_size
    packed.unlink()
    return Built(
        zipped=zipped,
        unzipped=packages.total(),
        # Bytecode is about as large as what it comes from.
        code=sum(
            path.stat().st_size * (2 if path.suffix == ".py" else 1)
            for path in code.shipped(project)
        ),
        packages=packages.most_common(),
        relocked=relocked,
    )


def _python() -> str:
    return ".".join(map(str, PYTHON))


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"
