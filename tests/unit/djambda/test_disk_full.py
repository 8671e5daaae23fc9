"""An upload that does not fit on the function's disk: an error, and nothing half-stored."""

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from catalog.models import Product
from djambda.awslambda import lambda_handler
from tests.support.lambda_events import CONTEXT, Event, make_v1_event
from tests.unit.djambda.conftest import FakeAws

LIMIT = 1_000_000
"""Bytes of a file, of which a picture of 3 MB is written to the disk before the view runs."""


@contextmanager
def small_disk() -> Iterator[None]:
    """Let writing more than `LIMIT` bytes to a file fail, with EFBIG instead of ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(autouse=True)
def closed_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the temporary files: Django leaves an incomplete one to the garbage collector."""
    files = []

    def create(**options: Any) -> Any:
        files.append(tempfile.NamedTemporaryFile(**options))  # noqa: SIM115
        return files[-1]

    monkeypatch.setattr("django.core.files.temp.NamedTemporaryFile", create)
    yield
    for file in files:
        file.close()


def upload(picture: bytes) -> Event:
    """Return the event of the superuser who adds a product with a picture."""
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password=None))
    token = "x" * 32
    cookies = f"sessionid={client.cookies['sessionid'].value}; csrftoken={token}"
    fields = {"csrfmiddlewaretoken": token, "name": "Large"}
    parts = [
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = b'--B\r\nContent-Disposition: form-data; name="picture"; filename="large.bin"\r\n\r\n'
    return make_v1_event(
        "POST",
        "/products/new/",
        headers=[
            ("Content-Type", "multipart/form-data; boundary=B"),
            ("Cookie", cookies),
            ("Referer", "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/"),
        ],
        body=b"".join([*parts, head, picture, b"\r\n--B--\r\n"]),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("on_aws")
def test_upload_that_does_not_fit(
    aws: FakeAws,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    event = upload(b"x" * 3_000_000)

    with small_disk():
        refused = lambda_handler(event, CONTEXT)

    assert refused["statusCode"] == 500
    assert "File too large" in caplog.text
    assert not Product.objects.exists()
    assert not aws.objects

    accepted = lambda_handler(event, CONTEXT)

    assert accepted["statusCode"] == 302
    [product] = Product.objects.all()
    assert len(aws.objects[f"media/{product.picture.name}"][0]) == 3_000_000
