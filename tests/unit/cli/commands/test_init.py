"""`djambda init`: the files that it writes, and what it never changes."""

import io
import os
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from awscdk.discovery import find_project, settings_modules
from awscdk.product import PRODUCT
from djambda_cli.commands.init import app_name, init, with_values
from djambda_cli.errors import CliError
from tests.synth.test_discovery import MANAGE, project, write


class Terminal:
    """A terminal at which a user types these lines."""

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)

    def isatty(self) -> bool:
        return True

    def readline(self, _size: int = -1) -> str:
        return f"{self._lines.pop(0)}\n" if self._lines else ""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, without a terminal and without variables of a deployment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for name in ("APP_NAME", "ENVIRONMENT", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    return tmp_path


def configuration(folder: Path) -> dict[str, object]:
    return tomllib.loads((folder / "djambda.toml").read_text())


def variables(folder: Path) -> dict[str, str]:
    lines = (folder / ".variables").read_text().splitlines()
    pairs = (line.removeprefix("export ").partition("=") for line in lines if line[:1] != "#")
    return {name: value for name, _, value in pairs if value}


def test_configuration_records_the_discovered_project(folder: Path) -> None:
    project(folder)

    init()

    assert configuration(folder) == {
        "settings": "shop.settings",
        "requirements": "requirements.txt",
    }
    assert find_project(folder).settings == "shop.settings"
    assert not (folder / ".variables").exists()


def test_second_run_changes_nothing(folder: Path) -> None:
    project(folder)
    init(aws=True)
    (folder / ".variables").write_text("export APP_NAME=mine\n")
    before = {file: file.read_text() for file in folder.rglob("*") if file.is_file()}

    init(aws=True)

    assert {file: file.read_text() for file in folder.rglob("*") if file.is_file()} == before


def test_configuration_in_pyproject_is_kept(folder: Path) -> None:
    project(folder)
    write(folder, {"pyproject.toml": '[tool.djambda]\nsettings = "shop.settings"\n'})

    init()

    assert not (folder / "djambda.toml").exists()


def test_options_do_not_change_a_configuration(folder: Path) -> None:
    project(folder)
    init()

    with pytest.raises(CliError, match="already"):
        init(settings="shop.other")


def test_several_projects_need_an_option_without_a_terminal(folder: Path) -> None:
    (folder / ".git").mkdir()
    for name in ("api", "web"):
        project(folder / name)

    with pytest.raises(CliError, match=r"api, web.*--root"):
        init()

    init(root="web")
    assert configuration(folder)["root"] == "web"
    assert find_project(folder).root == folder / "web"


def test_several_projects_are_asked_about(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".git").mkdir()
    for name in ("api", "web"):
        project(folder / name)
    monkeypatch.setattr(sys, "stdin", Terminal("web"))

    init(aws=False)

    assert configuration(folder) == {
        "root": "web",
        "settings": "shop.settings",
        "requirements": "web/requirements.txt",
    }


def several_settings(folder: Path) -> Path:
    return write(
        folder,
        {
            "manage.py": MANAGE.format(settings="config.settings.local"),
            **dict.fromkeys(
                (
                    f"config/settings/{name}.py"
                    for name in ("__init__", "base", "local", "test", "production", "staging")
                ),
                "",
            ),
            "requirements.txt": "Django\n",
        },
    )


def test_several_settings_modules_are_asked_about(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several_settings(folder)
    monkeypatch.setattr(sys, "stdin", Terminal("config.settings.staging"))

    init(aws=False)

    assert configuration(folder)["settings"] == "config.settings.staging"


def test_other_settings_modules_are_named_without_a_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several_settings(folder)

    init()

    assert configuration(folder)["settings"] == "config.settings.production"
    assert "config.settings.staging" in capsys.readouterr().err


def test_development_and_base_settings_are_no_candidates(tmp_path: Path) -> None:
    several_settings(tmp_path)

    assert settings_modules(tmp_path, "config.settings.production") == [
        "config.settings.production",
        "config.settings.staging",
    ]


def test_settings_module_must_exist(folder: Path) -> None:
    project(folder)

    with pytest.raises(CliError, match="no such module"):
        init(settings="shop.missing")

    assert not (folder / "djambda.toml").exists()


def test_folder_without_a_project_is_an_error(folder: Path) -> None:
    (folder / ".git").mkdir()

    with pytest.raises(CliError, match="startproject"):
        init()


def test_variables_for_aws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = project(folder / "My Shop")
    monkeypatch.chdir(home)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    init(aws=True)

    assert variables(home) == {
        "APP_NAME": "my-shop",
        "ENVIRONMENT": "dev",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def test_missing_region_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder)

    init(aws=True)

    assert "AWS_DEFAULT_REGION" not in variables(folder)
    assert "Set AWS_DEFAULT_REGION" in capsys.readouterr().out


def test_variables_are_asked_about_until_they_are_valid(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(folder)
    monkeypatch.setattr(sys, "stdin", Terminal("y", "My App", "my-app", "prod", "us-east-1"))

    init()

    assert variables(folder) == {
        "APP_NAME": "my-app",
        "ENVIRONMENT": "prod",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.mark.parametrize(
    ("folder_name", "name"),
    [
        ("shop", "shop"),
        ("My_Shop.v2", "my-shop-v2"),
        ("2026-site", "site"),
        ("日本", "my-app"),
        ("a" * 60, "a" * 40),
    ],
)
def test_app_name_is_valid(folder_name: str, name: str) -> None:
    assert app_name(folder_name) == name


def test_variables_file_has_every_setting_of_the_template() -> None:
    template = (PRODUCT / ".variables.template").read_text()

    text = with_values(template, {"APP_NAME": "shop"})

    assert text.count("\nexport ") == template.count("\nexport ")
    assert "\nexport APP_NAME=shop\n" in text
    assert "Copy this file" not in text


def test_checkout_needs_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PRODUCT)

    with pytest.raises(CliError, match=r"cp \.variables\.template"):
        init()


def test_pipeline_is_written_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder)
    (folder / ".git").mkdir()

    init(gitlab=True)

    written = yaml.safe_load((folder / ".gitlab-ci.yml").read_text().replace("!reference ", ""))
    assert written["test"]["script"] == ["djambda synth --files"]
    assert written["stages"] == ["check", "build", "deploy", "manage"]
    (folder / ".gitlab-ci.yml").write_text("mine")
    init(gitlab=True)
    assert (folder / ".gitlab-ci.yml").read_text() == "mine"
    assert "exists" in capsys.readouterr().out


def test_pipeline_belongs_into_the_root_of_the_repository(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".git").mkdir()
    monkeypatch.chdir(project(folder / "backend"))

    with pytest.raises(CliError, match="--gitlab --root"):
        init(gitlab=True)
    monkeypatch.chdir(folder)
    init(gitlab=True, root="backend")

    assert (folder / ".gitlab-ci.yml").exists()
    assert find_project(folder).root == folder / "backend"
