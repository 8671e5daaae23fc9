"""`/healthz` on a good day and on a bad one."""

from typing import Any, NoReturn

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

HEALTHZ = reverse("core:healthz")


def test_healthy(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        answer = Client().get(HEALTHZ)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_the_database(db: None, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> NoReturn:
        raise OperationalError("connection to 10.0.0.7 failed for user django")

    with connection.execute_wrapper(fail):
        answer = Client().get(HEALTHZ)
    assert answer.status_code == 503
    assert answer.json() == {"status": "error", "problem": "database", "error": "OperationalError"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert "10.0.0.7" in caplog.text
