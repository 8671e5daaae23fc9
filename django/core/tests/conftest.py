"""Two people, their browsers, and a media folder that each test has to itself."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from core.models import Note


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
    return signed_in(ada)


@pytest.fixture
def note(ada: User) -> Note:
    return Note.objects.create(author=ada, title="Lisbon", body="Tram 28")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def stored_files(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]
