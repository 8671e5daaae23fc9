"""Fixtures of the sample's tests: two users, their browsers, a media folder per test, and a local
cloud with the deployed sample, for which the product's test support is used.
"""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings
from tests.cloud.checkout import WORKING_TREE, Checkout
from tests.cloud.local import admin, checkout, cloud, remove_deployment_variables, visitor

from core.models import Note

__all__ = ["admin", "checkout", "cloud", "visitor"]

remove_deployment_variables()


@pytest.fixture(scope="session")
def cloud_checkout() -> Checkout:
    """The checkout that the local cloud runs: the working tree, as in `make up`."""
    return WORKING_TREE


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def eve(db: None) -> User:
    return User.objects.create_user("eve")


@pytest.fixture
def client(ada: User) -> Client:
    """Ada's browser."""
    return logged_in(ada)


@pytest.fixture
def note(ada: User) -> Note:
    return Note.objects.create(author=ada, title="Lisbon", body="Tram 28")


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def stored_files(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]
