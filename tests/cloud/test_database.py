"""The local cloud's database as the site uses it: like Aurora, and paused like it."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from djambda_cli.local.cloud import DATABASE_NAME, DATABASE_USER, LocalCloud
from tests.cloud.local import Cloud


@contextmanager
def connected(cloud: Cloud, **options: Any) -> Iterator[Any]:
    local = LocalCloud(cloud.folder)
    connection = psycopg2.connect(
        host="127.0.0.1",
        port=local.require_running().postgres_port,
        user=DATABASE_USER,
        dbname=DATABASE_NAME,
        password=local.credentials.database_password,
        **options,
    )
    with closing(connection), connection.cursor() as cursor:
        yield cursor


def state(cloud: Cloud) -> str:
    """Return the database's state that `djambda status` shows."""
    name: str = json.loads(cloud.djambda("status --json").stdout)["database"]["state"]
    return name


def test_management_command_resumes_the_paused_database(cloud: Cloud) -> None:
    slept = cloud.djambda("sleep --seconds 1")
    assert slept.returncode == 0, slept.stderr
    assert state(cloud) == "paused"

    assert cloud.manage("showmigrations")["exit_code"] == 0

    assert state(cloud) in {"resuming", "awake"}


def test_database_with_a_session_does_not_pause(cloud: Cloud) -> None:
    with connected(cloud) as cursor:
        cursor.execute("SELECT 1")

        slept = cloud.djambda("sleep")

    assert slept.returncode == 1
    assert "idle in transaction" in slept.stderr


def test_connection_without_tls_is_refused(cloud: Cloud) -> None:
    with (
        pytest.raises(psycopg2.OperationalError, match="no encryption"),
        connected(cloud, sslmode="disable"),
    ):
        pass


def test_twenty_visitors_of_the_paused_database(cloud: Cloud) -> None:
    assert cloud.djambda("sleep --seconds 6").returncode == 0
    deadline = time.monotonic() + 60

    def visit(_: int) -> list[int]:
        """Load a page that needs the database until it is there; return the statuses."""
        statuses = []
        with cloud.browser() as visitor:
            visitor.headers["Accept"] = "text/html"
            while time.monotonic() < deadline and 200 not in statuses:
                response = visitor.get("products/")
                statuses.append(response.status_code)
                if response.status_code == 503:
                    assert "<title>Waking up</title>" in response.text
                    time.sleep(2)
        return statuses

    with ThreadPoolExecutor(20) as visitors:
        visits = list(visitors.map(visit, range(20)))

    assert all(statuses[-1] == 200 for statuses in visits), visits
    assert {status for statuses in visits for status in statuses} == {200, 503}
