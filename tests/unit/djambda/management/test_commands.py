"""djambda's own management commands, on the real database."""

import io
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connection
from pytest_django import Settings

from djambda.management.commands import ensure_superuser, wait_for_database


def output_of(command: BaseCommand, *arguments: str) -> str:
    """Return what a command prints. Only deployed projects have djambda among INSTALLED_APPS."""
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def superuser(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Fast.
    monkeypatch.setenv("DJANGO_SUPERUSER_USERNAME", "root")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a-first-password")
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "root@example.com")


@pytest.mark.django_db
def test_superuser_is_created_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert output_of(ensure_superuser.Command()).startswith("Created")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "another-password")
    assert "exists" in output_of(ensure_superuser.Command())

    user = authenticate(username="root", password="a-first-password")
    assert isinstance(user, User)
    assert (user.is_superuser, user.is_staff, user.email) == (True, True, "root@example.com")


@pytest.mark.django_db
def test_superuser_needs_no_email(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SUPERUSER_EMAIL")

    output_of(ensure_superuser.Command())

    assert User.objects.get().email == ""


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["DJANGO_SUPERUSER_USERNAME", "DJANGO_SUPERUSER_PASSWORD"])
def test_missing_variable_is_named_and_no_user_created(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name)

    assert output_of(ensure_superuser.Command()).startswith(f"{name} is not set: ")
    assert not User.objects.exists()


@pytest.mark.django_db
def test_waiting_for_a_running_database() -> None:
    assert output_of(wait_for_database.Command()).endswith(" s).\n")


@pytest.fixture
def elsewhere(transactional_db: None) -> Iterator[Callable[..., None]]:
    """Return a function that changes the settings of Django's connection."""
    before = dict(connection.settings_dict)

    def connect(**changes: Any) -> None:
        connection.close()
        connection.settings_dict.update(changes)

    yield connect
    connection.settings_dict.update(before)


def test_waiting_ends_after_the_timeout(elsewhere: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        elsewhere(HOST="127.0.0.1", PORT=unused.getsockname()[1])

    with pytest.raises(CommandError, match=r"database after 1 s: .* refused"):
        call_command(wait_for_database.Command(), "--timeout=1")


def test_missing_database_is_not_waited_for(elsewhere: Callable[..., None]) -> None:
    elsewhere(NAME="nonsense")

    with pytest.raises(CommandError, match=r'database after 0 s: .* "nonsense" does not exist'):
        call_command(wait_for_database.Command())
