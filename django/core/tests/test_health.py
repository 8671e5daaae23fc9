"""`/healthz` with and without the database."""

from typing import Any, NoReturn

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

HEALTHZ = reverse("core:healthz")


def test_healthy(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        response = Client().get(HEALTHZ)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


def test_without_the_database(db: None, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> NoReturn:
        raise OperationalError("connection to 10.0.0.7 failed for user django")

    with connection.execute_wrapper(fail):
        response = Client().get(HEALTHZ)
    assert response.status_code == 503
    assert response.json() == {
        "status": "error",
        "problem": "database",
        "error": "OperationalError",
    }
    assert response.headers["Cache-Control"] == "no-store"
    assert "10.0.0.7" in caplog.text
