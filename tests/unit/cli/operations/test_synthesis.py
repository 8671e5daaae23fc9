"""What is decided before a synthesis: the project's Python, and whether to build the layer."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from awscdk.discovery import Project
from awscdk.project_file import ProjectFile
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.operations import synthesis
from djambda_cli.paths import load_project
from djambda_cli.project import layer
from djambda_cli.steps import Steps

PROJECT = load_project()


def test_ci_uses_a_layer_that_synth_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "is_current", lambda *_: False)
    monkeypatch.setattr(synthesis, "problems", lambda *_: [])
    monkeypatch.delenv("CI", raising=False)
    assert not synthesis.layer_is_usable(PROJECT, "x86_64")

    monkeypatch.setenv("CI", "true")
    assert synthesis.layer_is_usable(PROJECT, "x86_64")


class TestPython:
    """The Python of the project, on a machine that may not have it."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        files = (tmp_path / "requirements.txt", tmp_path / "requirements.lock", tmp_path / "layer")
        return Project(tmp_path, *files, file=ProjectFile(python="3.14"))

    @pytest.fixture
    def missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def download(version: str) -> Path:
            raise CliError(f"no Python {version}")

        monkeypatch.setattr(synthesis, "find_interpreter", lambda _version: None)
        monkeypatch.setattr(synthesis, "download_python", download)

    @pytest.mark.usefixtures("missing")
    def test_local_cloud_needs_it(self, project: Project, tmp_path: Path) -> None:
        steps, cloud = Steps(Console(file=io.StringIO())), LocalCloud(tmp_path / "cloud")

        with pytest.raises(CliError, match=r"3\.14"):
            synthesis.provide_python(project, steps, cloud)
        assert not cloud.folder.exists()

    @pytest.mark.usefixtures("missing")
    def test_deploy_to_aws_continues_without_bytecode(self, project: Project) -> None:
        output = io.StringIO()

        synthesis.provide_python(project, Steps(Console(file=output)), None)

        assert "without bytecode" in output.getvalue()

    def test_local_cloud_gets_it(
        self, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cloud, interpreter = LocalCloud(tmp_path / "cloud"), Path(sys.executable)
        monkeypatch.setattr(synthesis, "find_interpreter", lambda _version: interpreter)

        for _ in range(2):
            synthesis.provide_python(project, Steps(Console(file=io.StringIO())), cloud)

        assert (cloud.folder / "pythons" / "python3.14").readlink() == interpreter


def test_project_that_cannot_be_deployed_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.15\n")
    files = (tmp_path / "requirements.txt", tmp_path / "requirements.lock", tmp_path / "layer")

    with pytest.raises(CliError, match=r"manage\.py(.|\n)*3\.15"):
        synthesis.verify_project(Project(tmp_path, *files))
