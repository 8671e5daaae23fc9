"""The server's limits of a request's statements, and the transactions of the project."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from djambda import deadline
from tests.support.lambda_events import CONTEXT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def in_request(database: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a test in a request that sets the limits before each statement."""
    monkeypatch.setattr("djambda.db.base.REFRESH_SECONDS", -1.0)
    with deadline.limited_request({}, CONTEXT):
        yield


def query(sql: str) -> Any:
    """Execute a statement; return the only value of its result, if it has one."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


def limit(name: str) -> int:
    """Return a limit in milliseconds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM current_setting(%s)::interval) * 1000", [name])
        return int(cursor.fetchone()[0])


def test_failed_savepoint_is_rolled_back() -> None:
    with transaction.atomic():
        query("CREATE TEMPORARY TABLE of_a_savepoint ()")
        with pytest.raises(DataError), transaction.atomic():
            query("SELECT 1 / 0")
        assert query("SELECT count(*) FROM of_a_savepoint") == 0
        assert limit("statement_timeout") > 20_000


def test_closed_connection_raises_djangos_error() -> None:
    query("SELECT 1")
    with connection.cursor() as cursor:
        connection.connection.close()
        with pytest.raises((InterfaceError, OperationalError)):
            cursor.execute("SELECT 1")
    connection.close()


@pytest.mark.skipif(not is_psycopg3, reason="psycopg 2 does not prepare statements")
def test_prepared_statements(database: dict[str, Any]) -> None:
    database["OPTIONS"] |= {"prepare_threshold": 0, "server_side_binding": True}
    connection.close()
    assert limit("lock_timeout") > 20_000


def test_isolation_level_can_be_set() -> None:
    with transaction.atomic():
        query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE")
        assert query("SHOW transaction_isolation") == "serializable"


@pytest.mark.parametrize("name", ["statement_timeout", "lock_timeout"])
@pytest.mark.parametrize(
    "statement",
    [
        "SET LOCAL {name} = 3000",
        "set local {name} to '3s'",
        "SELECT set_config('{name}', '3s', true)",
    ],
)
def test_limit_that_the_project_sets_in_a_transaction_is_kept(name: str, statement: str) -> None:
    with transaction.atomic():
        query(statement.format(name=name))
        query("SELECT 1")
        assert limit(name) == 3000
    assert limit(name) > 20_000


def test_limit_that_the_project_sets_for_a_session_is_kept() -> None:
    query("SET lock_timeout = '3s'")
    with deadline.limited_request({}, CONTEXT):
        assert limit("lock_timeout") == 3000
        assert limit("statement_timeout") > 20_000
        connection.close()
        assert limit("lock_timeout") > 20_000
