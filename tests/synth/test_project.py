"""The settings module, read from a project's `manage.py` without running it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from awscdk.discovery import settings_module
from awscdk.project_file import ProjectError

ROOT = Path(__file__).resolve().parents[2]

DJANGO_5_2 = """#!/usr/bin/env python
import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as exc:
        raise ImportError("Couldn't import Django.") from exc
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
"""


def project(folder: Path, manage: str) -> Path:
    (folder / "manage.py").write_text(manage)
    return folder


@pytest.mark.parametrize(
    "manage",
    [
        DJANGO_5_2,
        'import os\n\nos.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"\n',
        "from os import environ\nenviron.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
    ],
    ids=["startproject of Django 5.2", "assignment", "imported environ"],
)
def test_settings_module_is_found(tmp_path: Path, manage: str) -> None:
    assert settings_module(project(tmp_path, manage)) == "shop.settings"


def test_settings_module_of_a_new_project(tmp_path: Path) -> None:
    """The project template of the installed Django."""
    subprocess.run(
        [sys.executable, "-m", "django", "startproject", "shop", tmp_path],
        check=True,
        capture_output=True,
    )

    assert settings_module(tmp_path) == "shop.settings"


def test_manage_py_is_not_run(tmp_path: Path) -> None:
    assert settings_module(project(tmp_path, f"{DJANGO_5_2}\nraise SystemExit")) == "shop.settings"


def test_missing_manage_py_names_the_command_that_creates_it(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="django-admin startproject") as error:
        settings_module(tmp_path)

    assert f"{tmp_path.name}/manage.py" in str(error.value)


@pytest.mark.parametrize("manage", ["def main(:\n", "main()\0"])
def test_manage_py_with_a_syntax_error(tmp_path: Path, manage: str) -> None:
    with pytest.raises(ProjectError, match=r"manage\.py"):
        settings_module(project(tmp_path, manage))


def test_manage_py_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "manage.py").mkdir()

    with pytest.raises(ProjectError, match=r"manage\.py cannot be read"):
        settings_module(tmp_path)


@pytest.mark.parametrize(
    "manage",
    [
        "",
        'import os\n\nos.environ.setdefault("OTHER_MODULE", "shop.settings")\n',
        'import os\n\nos.environ["DJANGO_SETTINGS_MODULE"] = os.environ["OTHER"]\n',
    ],
)
def test_manage_py_without_a_settings_module_names_the_line_to_add(
    tmp_path: Path, manage: str
) -> None:
    with pytest.raises(ProjectError, match="DJANGO_SETTINGS_MODULE"):
        settings_module(project(tmp_path, manage))


def test_app_reports_the_project_with_the_other_problems(tmp_path: Path) -> None:
    for name in ("awscdk", "common", "cdk.json"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path)
    (tmp_path / "django").mkdir()
    (tmp_path / "django" / "a\\b.txt").touch()

    completed = subprocess.run(
        [sys.executable, tmp_path / "awscdk" / "app.py"],
        env={"PYTHONPATH": str(tmp_path / "common"), "APP_NAME": "my.site"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert completed.returncode == 1
    for fact in (
        "django/manage.py",
        r"django/a\b.txt",
        "layers/django",
        "APP_NAME=my.site",
        "ENVIRONMENT",
    ):
        assert fact in completed.stderr
    assert "Traceback" not in completed.stderr
