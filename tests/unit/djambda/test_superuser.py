"""The superuser of other user models than Django's own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.djambda.conftest import DJANGO, SECRETS

SETTINGS = """
SECRET_KEY = "not-used"
INSTALLED_APPS = ["djambda", "people", "django.contrib.auth", "django.contrib.contenttypes"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "people.Person"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "people.urls"
DJAMBDA_REPLACED_SETTINGS = {"DEBUG": "a reason"}
"""

MODELS = """
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models

class Manager(BaseUserManager):
    def create_superuser(self, {username}, password, **fields):
        user = self.model({username}={username}, is_superuser=True, **fields)
        user.set_password(password)
        user.save()

class Person(AbstractBaseUser, PermissionsMixin):
    {fields}
    USERNAME_FIELD = "{username}"
    EMAIL_FIELD = "{username}"
    REQUIRED_FIELDS = {required}
    objects = Manager()
"""

RUN = """
import django, json
from django.core.management import call_command
from django.contrib.auth import get_user_model
django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)
call_command("ensure_superuser")
call_command("ensure_superuser")
call_command("describe_site")
print(json.dumps([
    {name: str(getattr(user, name)) for name in [user.USERNAME_FIELD, *user.REQUIRED_FIELDS]}
    | {"password": user.check_password(PASSWORD)}
    for user in get_user_model().objects.all()
]))
"""


def release(
    folder: Path, fields: list[str], username: str, required: list[str], **variables: str
) -> tuple[list[str], dict[str, object], list[dict[str, object]]]:
    """Release a project with this user model; return the output, the description and the users."""
    app = folder / "people"
    app.mkdir(exist_ok=True)
    (app / "__init__.py").touch()
    lines = "\n    ".join(fields)
    (app / "models.py").write_text(
        MODELS.format(fields=lines, username=username, required=required)
    )
    (app / "urls.py").write_text("urlpatterns = []")
    (folder / "own_settings.py").write_text(SETTINGS)
    process = subprocess.run(
        [sys.executable, "-c", RUN.replace("PASSWORD", repr(SECRETS["superuser-password"]))],
        cwd=folder,
        env={
            "PYTHONPATH": f"{DJANGO}:{DJANGO.parent / 'common'}:{folder}",
            "DJANGO_SETTINGS_MODULE": "own_settings",
            "DJANGO_SUPERUSER_USERNAME": "admin",
            "DJANGO_SUPERUSER_EMAIL": "admin@example.com",
            "DJANGO_SUPERUSER_PASSWORD": SECRETS["superuser-password"],
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    *output, description, users = process.stdout.splitlines()
    return output, json.loads(description), json.loads(users)


@pytest.mark.parametrize("name", ["email", "address"])
def test_users_who_log_in_with_an_address_get_one(tmp_path: Path, name: str) -> None:
    output, description, users = release(
        tmp_path,
        [f"{name} = models.EmailField(unique=True)", "name = models.CharField(max_length=9)"],
        name,
        ["name"],
    )

    assert users == [{name: "admin@example.com", "name": "admin", "password": True}]
    assert ["Created" in output[0], "already exists" in output[1]] == [True, True]
    assert description["superuser"] == "admin@example.com"
    assert description["replaced_settings"] == {"DEBUG": "a reason"}
    assert description["admin_path"] == ""


def test_required_fields_have_variables_defaults_or_blanks(tmp_path: Path) -> None:
    _, _, users = release(
        tmp_path,
        [
            "login = models.CharField(max_length=20, unique=True)",
            "email = models.EmailField()",
            "city = models.CharField(max_length=20)",
            "level = models.IntegerField(default=3)",
            "nickname = models.CharField(max_length=20, blank=True)",
        ],
        "login",
        ["email", "city", "level", "nickname"],
        DJANGO_SUPERUSER_CITY="Turin",
    )

    assert users == [
        {
            "login": "admin",
            "email": "admin@example.com",
            "city": "Turin",
            "level": "3",
            "nickname": "",
            "password": True,
        }
    ]


def test_missing_value_is_named_with_the_command_to_run(tmp_path: Path) -> None:
    output, description, users = release(
        tmp_path,
        ["email = models.EmailField(unique=True)", "born = models.DateField()"],
        "email",
        ["born"],
    )

    assert users == []
    assert description["superuser"] == ""
    for fact in ("born", "createsuperuser --no-input --email", "--born"):
        assert fact in output[0]


def test_project_with_a_command_of_its_own_is_released_without_a_superuser(tmp_path: Path) -> None:
    commands = tmp_path / "people" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "createsuperuser.py").write_text(
        "from django.core.management.base import BaseCommand\n\n"
        "class Command(BaseCommand):\n    def handle(self, **options):\n        raise KeyError\n"
    )

    output, description, users = release(
        tmp_path, ["email = models.EmailField(unique=True)"], "email", []
    )

    assert users == []
    assert description["superuser"] == ""
    assert "createsuperuser command with other options" in output[0]
