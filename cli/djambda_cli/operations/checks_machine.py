"""Checks of this machine and of the configuration: tools, disk, variables and the layer."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.specifiers import SpecifierSet

from awscdk import layer as layer_rules
from awscdk.discovery import Project
from awscdk.interpreters import find_interpreter
from awscdk.product import PRODUCT
from awscdk.python_version import DEFAULT_PYTHON
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import NEEDED_BYTES
from djambda_cli.operations.findings import Finding, ok, problem, warning
from djambda_cli.operations.shipping import load_selection
from djambda_cli.paths import EMULATOR_PYTHON, INSTALL_TOOLS, ROOT, TOOLS_HOME, load_project, tool
from djambda_cli.project import layer as layer_builder

COMFORTABLE_BYTES = 2_000_000_000
LOCKED_PACKAGES = "package-lock.json"
INSTALLED_PACKAGES = "node_modules/.package-lock.json"


def check_machine(*, local: bool) -> Iterator[Finding]:
    """Check the tools that djambda runs, and the disk. Includes the emulator if `local`."""
    yield rate_python(sys.version_info[:2], platform.python_version())
    yield rate_tool("uv", _output("uv", "--version").removeprefix("uv ").partition(" ")[0])
    yield rate_node(_output("node", "--version").removeprefix("v"), supported_node())
    yield rate_cdk(
        _cdk_version(TOOLS_HOME / INSTALLED_PACKAGES), _cdk_version(PRODUCT / LOCKED_PACKAGES)
    )
    if local:
        yield rate_tool("AWS emulator", "installed" * EMULATOR_PYTHON.exists())
    yield rate_disk(shutil.disk_usage(ROOT).free)


def supported_node() -> SpecifierSet:
    """Return the versions of Node that package.json accepts."""
    engines = json.loads((PRODUCT / "package.json").read_text())["engines"]
    return SpecifierSet(engines["node"].replace(" ", ","))


def rate_python(version: tuple[int, ...], full_version: str) -> Finding:
    """Compare djambda's own Python with that of its functions on Lambda."""
    if ".".join(map(str, version)) == DEFAULT_PYTHON:
        return ok(f"Python {full_version}")
    return problem(f"Python {full_version}, but djambda needs {DEFAULT_PYTHON}", INSTALL_TOOLS)


def rate_tool(name: str, version: str) -> Finding:
    """Return whether a tool is installed; `version` is "" if it is not."""
    return ok(f"{name} {version}") if version else problem(f"{name} is missing", INSTALL_TOOLS)


def rate_node(version: str, supported: SpecifierSet) -> Finding:
    """Return whether Node is installed in a supported version."""
    if version and version.partition(".")[0] not in supported:
        return problem(f"Node {version} is not supported by the CDK", INSTALL_TOOLS)
    return rate_tool("Node", version)


def rate_cdk(installed: str, locked: str) -> Finding:
    """Compare the CDK CLI with the locked version."""
    if installed and installed != locked:
        return problem(f"CDK CLI {installed}, but {locked} is locked", INSTALL_TOOLS)
    return rate_tool("CDK CLI", installed)


def rate_disk(free: int) -> Finding:
    """Return whether the free bytes are enough for the tools and the local cloud."""
    if free < NEEDED_BYTES:
        return problem(f"only {free / 1e9:.1f} GB free on the disk", "Free some space.")
    if free < COMFORTABLE_BYTES:
        return warning(
            f"{free / 1e9:.1f} GB free on the disk",
            "The tools and the local cloud need about 2 GB.",
        )
    return ok(f"{free / 1e9:.0f} GB free on the disk")


def check_configuration(deployment: Deployment) -> Iterator[Finding]:
    """Check valid variables for risks, and the layer that they require."""
    config = deployment.config
    yield ok(f"{deployment.stack} {deployment.location}")
    if config.debug:
        yield warning("DEBUG=true: visitors see Django's debug pages", "Unset it in production.")
    if config.ephemeral and not deployment.local:
        yield warning(
            "EPHEMERAL=true: deleting the stack deletes its data", "Use it only for trials."
        )
    region = os.environ.get("AWS_REGION")
    if region and region != config.aws_default_region:
        yield warning(
            f"AWS_REGION={region}, but AWS_DEFAULT_REGION={config.aws_default_region}",
            "Unset AWS_REGION: some tools read one variable, some the other.",
        )
    yield from _check_layer(load_project(), config.lambda_architecture)


def check_project(*, local: bool) -> Iterator[Finding]:
    """Check what discovery has found, and the project's files."""
    try:
        project = load_project()
    except CliError as error:
        yield problem(str(error))
        return
    if problems := project.problems():
        yield from map(problem, problems)
    else:
        yield ok(f"settings {project.settings}, packages of {project.requirements.name}")
        yield rate_project_python(
            project.python, has_it=find_interpreter(project.python) is not None, local=local
        )
    yield from check_files(project.root, project.file.exclude)


def rate_project_python(version: str, *, has_it: bool, local: bool) -> Finding:
    """Return whether this machine has the project's Python, which compiles its bytecode."""
    message = f"Python {version}"
    if has_it:
        return ok(message)
    rate = problem if local else warning
    return rate(f"{message}, which this machine does not have", f"uv python install {version}")


def check_files(root: Path, exclude: Sequence[str] = ()) -> Iterator[Finding]:
    """Check that every file of the project can be shipped."""
    try:
        load_selection(root, exclude)
    except CliError as error:
        yield problem(str(error))


def _check_layer(project: Project, architecture: str) -> Iterator[Finding]:
    problems = layer_rules.problems(project, architecture)
    for message in problems:
        problem_text, _, rebuild = message.partition(": build it with")
        yield warning(problem_text, "djambda layer" * bool(rebuild))
    if not problems and not layer_builder.is_current(project, architecture):
        yield warning("the layer is out of date", "djambda layer")
    elif not problems:
        yield ok(f"layer for {architecture}")


def _output(name: str, *arguments: str) -> str:
    """Return the output of a tool, or "" if it cannot be run."""
    try:
        completed = subprocess.run(
            [tool(name), *arguments], capture_output=True, text=True, check=True, timeout=20
        )
    except (CliError, OSError, subprocess.SubprocessError):
        return ""
    return completed.stdout.strip()


def _cdk_version(lock_file: Path) -> str:
    """Return the CDK CLI's version in a lock file of npm, or "" if it has none."""
    try:
        packages = json.loads(lock_file.read_text())["packages"]
        return str(packages["node_modules/aws-cdk"]["version"])
    except (OSError, ValueError, KeyError):
        return ""
