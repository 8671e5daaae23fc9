"""Synthesis of the stack: the layer and the cloud assembly, from the project."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.markup import escape

from awscdk.discovery import Project
from awscdk.layer import problems
from djambda_cli.aws.cdk import Cdk
from djambda_cli.deployment import Deployment
from djambda_cli.operations.shipping import left_out_note, load_selection
from djambda_cli.paths import LOCAL, create_state_folder, load_project
from djambda_cli.project import layer
from djambda_cli.steps import Steps
from djambda_cli.tools import ensure_tools


def cdk_of(deployment: Deployment) -> Cdk:
    """Return the CDK CLI for a deployment."""
    return Cdk(isolated=deployment.local is not None)


@contextmanager
def temporary_assembly(deployment: Deployment, steps: Steps) -> Iterator[Path]:
    """Synthesize into a folder of this run, which no other run changes. Raises `CliError`."""
    with tempfile.TemporaryDirectory(prefix="djambda-cdk.out-") as folder:
        synthesize(deployment, steps, Path(folder))
        yield Path(folder)


def synthesize(deployment: Deployment, steps: Steps, output: Path) -> None:
    """Build the layer if it is not current, and synthesize into `output`. Raises `CliError`."""
    architecture = deployment.config.lambda_architecture
    ensure_tools()
    project = load_project()
    create_state_folder()
    # A build for another architecture replaces the layer, which the CDK may be reading.
    with exclusive(LOCAL / "synth.lock", steps, "Wait for another synth"):
        if not layer_is_usable(project, architecture):
            with steps.step("Build layer"):
                built = layer.build(project, architecture, LOCAL)
            _print_note(steps, built.lock_change)
        with steps.step("Synthesize stack") as progress:
            cdk_of(deployment).synth(output, progress)
    _print_note(steps, left_out_note(load_selection(project.root), project.root))


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
