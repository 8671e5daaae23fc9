"""Checks of the project's own storages, which a release runs."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.utils.functional import LazyObject
from pytest_django import Settings
from storages.backends.s3 import S3Storage

from djambda.storage_backends import MediaStorage
from djambda.storage_checks import storage_messages
from tests.unit.djambda.conftest import FakeAws, set_storages


class OnDisk(FileSystemStorage):
    pass


class Root(S3Storage):
    pass


class Unsigned(S3Storage):
    location = "media"
    querystring_auth = False


class WithAcl(S3Storage):
    location = "media"
    default_acl = "public-read"


class Works(S3Storage):
    location = "public"
    querystring_auth = False


class Chosen(LazyObject):  # type: ignore[type-arg]
    """A storage that a variable selects, as with packages for URLs of storages."""

    def _setup(self) -> None:
        raise KeyError("DEFAULT_STORAGE_DSN")


class Derived(MediaStorage):
    location = "anything"


def messages(settings: Settings, alias: str, backend: str, **options: Any) -> list[tuple[str, str]]:
    if "." not in backend:
        backend = f"{__name__}.{backend}"
    set_storages(settings, STORAGES={alias: {"BACKEND": backend, "OPTIONS": options}})
    return [(str(message.id), message.msg) for message in storage_messages()]


@pytest.mark.usefixtures("on_aws")
@pytest.mark.parametrize(
    ("alias", "backend", "options", "problem"),
    [
        ("default", "OnDisk", {"location": "/var/task/media"}, ("djambda.E002", "read-only")),
        ("other", "OnDisk", {"location": "/var/task/media"}, ("djambda.W002", "read-only")),
        ("default", "Root", {}, ("djambda.E003", "location")),
        ("default", "Unsigned", {}, ("djambda.E003", "not signed")),
        ("default", "WithAcl", {}, ("djambda.E003", "ACL")),
        ("default", "no.such.Storage", {}, ("djambda.E001", "no.such.Storage")),
        ("default", "Chosen", {}, ("djambda.E001", "KeyError: 'DEFAULT_STORAGE_DSN'")),
        ("default", "Derived", {"querystring_aut": False}, ("djambda.E001", "querystring_aut")),
        ("default", "Derived", {"querystring_expire": 10**6}, ("djambda.E001", "7 days")),
    ],
)
def test_storage_that_cannot_work(
    settings: Settings,
    alias: str,
    backend: str,
    options: dict[str, Any],
    problem: tuple[str, str],
) -> None:
    expected, reason = problem

    [(identifier, message)] = messages(settings, alias, backend, **options)

    assert identifier == expected
    assert f"STORAGES['{alias}']" in message
    assert reason in message


@pytest.mark.usefixtures("on_aws")
@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("OnDisk", {"location": "/tmp/x"}),  # noqa: S108
        ("Works", {}),
        ("Root", {"bucket_name": "another"}),
        ("Derived", {"gzip": True}),
        ("django.core.files.storage.FileSystemStorage", {}),
        ("django.core.files.storage.InMemoryStorage", {}),
        ("storages.backends.s3.S3Storage", {"default_acl": "public-read", "access_key": "x"}),
    ],
)
def test_storage_that_works(settings: Settings, backend: str, options: dict[str, Any]) -> None:
    assert messages(settings, "default", backend, **options) == []


CHECK = """
import django
from djambda.aws import configure_settings_module
configure_settings_module()
from django.conf import settings
from django.core.management import call_command
settings.STORAGES["default"] = {"BACKEND": "tests.unit.djambda.test_storage_checks.Root"}
django.setup()
call_command("check")
"""


def test_deployed_function_checks_its_storages(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]], aws: FakeAws
) -> None:
    process = run_deployed(CHECK)

    assert process.returncode == 1
    assert "djambda.E003" in process.stderr
    assert "docs/how-to/media-files.md" in process.stderr
