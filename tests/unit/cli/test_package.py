"""The tool as an installed package: a wheel in a folder of its own, used outside a checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from djambda_cli.main import app
from djambda_cli.paths import search_path
from tests.synth.test_discovery import project

ROOT = Path(__file__).resolve().parents[3]
PYTHON = Path(sys.executable).resolve()
"""The interpreter outside the virtual environment, which would add the checkout to `sys.path`."""

COMMANDS = [command.callback.__name__ for command in app.registered_commands if command.callback]

IMPORT_ALL = """
import importlib, pkgutil, sys

imported = []
for name in ("djambda_cli", "awscdk", "djambda_common"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        # The emulator's modules run in its own environment.
        if not module.name.startswith("djambda_cli.local.emulator"):
            importlib.import_module(module.name)
            imported.append(module.name)
files = {m.__file__ for n, m in sys.modules.items() if n in imported}
outside = [file for file in files if not file.startswith(sys.argv[1])]
assert not outside, outside
print(len(imported))
"""


@dataclass(frozen=True)
class Installation:
    """The folder of an installed wheel, and an empty folder to run it in."""

    packages: Path
    home: Path

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python with the wheel and the dependencies, but without the checkout."""
        # A folder of PYTHONPATH is not searched for .pth files, such as the checkout's.
        dependencies = sysconfig.get_path("purelib")
        return subprocess.run(
            [PYTHON, *arguments],
            cwd=cwd or self.home,
            env={
                "HOME": str(self.home),
                "PATH": search_path(),
                "PYTHONPATH": os.pathsep.join([str(self.packages), dependencies]),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def djambda(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the installed `djambda` script."""
        return self.run(str(self.packages / "bin" / "djambda"), *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("package")
    uv = shutil.which("uv", path=search_path())
    assert uv
    installed = Installation(folder / "packages", folder / "home")
    installed.home.mkdir()
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    [wheel] = folder.glob("*.whl")
    options = ["--no-deps", "--python", str(PYTHON), "--target", str(installed.packages)]
    subprocess.run([uv, "pip", "install", "--quiet", *options, str(wheel)], check=True)
    return installed


def test_every_module_is_in_the_wheel(installation: Installation) -> None:
    completed = installation.run("-c", IMPORT_ALL, str(installation.packages))

    assert completed.returncode == 0, completed.stderr
    assert int(completed.stdout) > len(COMMANDS)


def test_version(installation: Installation) -> None:
    assert installation.djambda("--version").stdout.startswith("djambda 0.")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_needs_no_checkout(installation: Installation, command: str) -> None:
    completed = installation.djambda(*command.split(), "--help")

    assert (completed.returncode, completed.stderr) == (0, "")
    assert "Usage: djambda" in completed.stdout


def test_command_outside_a_project_is_refused(installation: Installation) -> None:
    completed = installation.djambda("status")

    assert completed.returncode == 1
    assert "no Django project" in completed.stderr
    assert "Traceback" not in completed.stderr


def test_command_works_on_the_checkout_of_the_current_folder(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "awscdk").mkdir()
    (tmp_path / "awscdk" / "app.py").touch()
    (tmp_path / "docs").mkdir()

    completed = installation.djambda("status", cwd=tmp_path / "docs")

    assert completed.returncode == 1
    assert "cp .variables.template .variables" in completed.stderr


def test_messages_in_a_project_name_commands_that_work_there(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "manage.py").touch()
    status, up, doctor = (
        installation.djambda(*command.split(), cwd=tmp_path)
        for command in ("status", "status --local", "doctor")
    )

    assert "djambda init --aws" in status.stderr
    assert "Start it: djambda up" in up.stderr
    assert "djambda init --aws" in doctor.stdout
    assert "make " not in doctor.stdout


def test_template_of_a_project_is_outside_the_folders_that_ship(
    installation: Installation, tmp_path: Path
) -> None:
    code = "from djambda_cli.paths import CDK_OUTPUT; print(CDK_OUTPUT)"

    completed = installation.run("-c", code, cwd=project(tmp_path))

    assert completed.stdout.strip() == str(tmp_path / ".djambda" / "cdk.out")


def test_variables_are_written_from_the_installed_template(
    installation: Installation, tmp_path: Path
) -> None:
    project(tmp_path)

    completed = installation.djambda("init", "--aws", cwd=tmp_path)

    assert (completed.returncode, completed.stderr) == (0, "")
    assert "\nexport LAMBDA_MEMORY=\n" in (tmp_path / ".variables").read_text()
