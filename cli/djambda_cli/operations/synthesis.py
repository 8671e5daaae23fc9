"""Synthesis of the stack: the layer and the cloud assembly, from the project."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.markup import escape

from awscdk.discovery import Project
from awscdk.interpreters import find_interpreter
from awscdk.layer import problems
from awscdk.python_version import DEFAULT_PYTHON
from djambda_cli.aws.cdk import Cdk
from djambda_cli.aws.variables import snapshot_id
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.operations.checks_project import check_project, require_no_problem
from djambda_cli.operations.report import print_warnings
from djambda_cli.operations.shipping import left_out_note, load_selection
from djambda_cli.paths import LOCAL, create_state_folder, load_project
from djambda_cli.project import layer
from djambda_cli.steps import Steps
from djambda_cli.tools import download_python, ensure_tools

NO_BYTECODE = (
    "Without Python {version}, the code is deployed without bytecode, and Django starts about a "
    "second later. Install it: uv python install {version}"
)


def cdk_of(deployment: Deployment) -> Cdk:
    """Return the CDK CLI for a deployment."""
    return Cdk(isolated=deployment.local is not None)


@contextmanager
def temporary_assembly(
    deployment: Deployment, steps: Steps, *, check: bool = False
) -> Iterator[Path]:
    """Synthesize for a deploy with the current variables, into a folder of this run alone.

    With `check`, the project is checked meanwhile. Its warnings are printed, and a problem
    raises `CliError`.
    """
    variables = snapshot_id(deployment.client("ssm"), deployment.config.secrets_path)
    with (
        tempfile.TemporaryDirectory(prefix="djambda-cdk.out-") as folder,
        ThreadPoolExecutor(1) as beside,
    ):
        with project_with_layer(deployment, steps) as project:
            # Roles that deploy to AWS cannot read secrets.
            checked = partial(check_project, with_values=deployment.local is not None)
            report = beside.submit(checked, deployment, project) if check else None
            _synthesize(deployment, project, steps, Path(folder), variables)
            if report:
                print_warnings(report.result(), deployment, steps)
                require_no_problem(report.result(), deployment)
        yield Path(folder)


def synthesize(deployment: Deployment, steps: Steps, output: Path, variables: str = "") -> None:
    """Build the layer if it is not current, and synthesize into `output`. Raises `CliError`."""
    with project_with_layer(deployment, steps) as project:
        _synthesize(deployment, project, steps, output, variables)


@contextmanager
def project_with_layer(deployment: Deployment, steps: Steps) -> Iterator[Project]:
    """Yield the project with a layer that is current and does not change meanwhile.

    Raises `CliError`.
    """
    architecture = deployment.config.lambda_architecture
    project = load_project()
    verify_project(project)
    ensure_tools()
    create_state_folder()
    provide_python(project, steps, deployment.local)
    # A build for another architecture replaces the layer, which the CDK may be reading.
    with exclusive(LOCAL / "synth.lock", steps, "Wait for another synth"):
        if not layer_is_usable(project, architecture):
            with steps.step("Build layer"):
                built = layer.build(project, architecture, LOCAL)
            _print_note(steps, built.lock_change)
        yield project


def _synthesize(
    deployment: Deployment, project: Project, steps: Steps, output: Path, variables: str
) -> None:
    with steps.step("Synthesize stack") as progress:
        cdk_of(deployment).synth(output, progress, variables)
    selection = load_selection(project.root, project.file.exclude)
    _print_note(steps, left_out_note(selection, project.root))


def verify_project(project: Project) -> None:
    """Raise `CliError` if the project cannot be deployed as it is."""
    if problems := project.problems():
        raise CliError("\n".join(problems))


def provide_python(project: Project, steps: Steps, cloud: LocalCloud | None) -> None:
    """Download the project's Python if this machine does not have it.

    Without it, the code and the layer have no bytecode. A local `cloud` needs it to run the
    project's functions: then, raises `CliError`.
    """
    version = project.python
    interpreter = find_interpreter(version)
    if not interpreter:
        try:
            with steps.step(f"Download Python {version}"):
                interpreter = download_python(version)
        except CliError:
            if cloud:
                raise
            _print_note(steps, NO_BYTECODE.format(version=version))
    if cloud and interpreter and version != DEFAULT_PYTHON:
        cloud.add_python(version, interpreter)


def _print_note(steps: Steps, note: str) -> None:
    if note:
        steps.console.print(f"    [dim]{escape(note)}[/dim]", highlight=False, soft_wrap=True)


def layer_is_usable(project: Project, architecture: str) -> bool:
    """Return whether a deploy can use the existing layer.

    In CI, an earlier job may have built it by other means: then synth's own check decides.
    """
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        return not problems(project, architecture)
    return layer.is_current(project, architecture)


@contextmanager
def exclusive(lock: Path, steps: Steps, label: str) -> Iterator[None]:
    """Hold a lock file; if another process holds it, wait in a step with this label."""
    with lock.open("w") as lock_file:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with steps.step(label):
                fcntl.flock(lock_file, fcntl.LOCK_EX)
        yield
