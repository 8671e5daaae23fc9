"""The project's PostgreSQL backend with connections that fit the time of a Lambda function.

Connecting waits for a paused database as long as the request or command may (`deadline.py`), the
server stops statements at the end of that time, and a session that the server has closed is
replaced.

The backend is Django's own, or one that a package derives from it; `djambda.database_settings`
names it. Django finds the class by its name,
https://docs.djangoproject.com/en/6.1/ref/databases/#subclassing-the-built-in-database-backends
"""

import re
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings

from djambda import deadline
from djambda.database_settings import POSTGRES
from djambda.db.resume import is_waking_up, retry_until_resumed

ATTEMPT_SECONDS = 10
LEAST_ATTEMPT_SECONDS = 2
"""libpq raises 1 to 2."""

REFRESH_SECONDS = 1.0
"""A statement may exceed the request's time by this much."""

IDLE_SECONDS = 5.0
"""After this time without a statement, the connection is tested before the next one."""

COMMAND_SESSION_MS = 900_000
"""The time after which the server ends an idle session of a command: no function runs longer."""

TIMEOUTS = ("statement_timeout", "lock_timeout")
"""The server's limits that follow the request's, unless the project sets them itself, in OPTIONS or
by a statement.
https://www.postgresql.org/docs/16/runtime-config-client.html#GUC-STATEMENT-TIMEOUT"""

OWN_TIMEOUT = re.compile(
    rf"\bset(?:\s+(?:local|session))?\s+({'|'.join(TIMEOUTS)})\b"
    rf"|\bset_config\s*\(\s*'({'|'.join(TIMEOUTS)})'"
)
"""Matches a statement of the project, in lowercase, that sets one of them."""

FAILED_TRANSACTION = 3
"""The status of a transaction that accepts nothing but its end or that of a savepoint.
https://www.postgresql.org/docs/17/libpq-status.html#LIBPQ-PQTRANSACTIONSTATUS"""

project = import_module(f"{getattr(settings, 'DJAMBDA_DATABASE_ENGINE', POSTGRES)}.base")

IS_PSYCOPG_3 = project.DatabaseWrapper.Database.__name__ == "psycopg"
EXECUTE_OPTIONS = {"prepare": False} if IS_PSYCOPG_3 else {}
"""A prepared statement cannot consist of several."""


class DatabaseWrapper(project.DatabaseWrapper):  # type: ignore[misc, name-defined]
    """Accepts `resume_seconds` in OPTIONS: a time for connecting that is shorter than usual."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits: deadline.Deadline | None = None
        self._limited_at = 0.0
        self._used_at = 0.0
        self._own_of_session: set[str] = set()
        self._own_of_transaction: set[str] = set()
        self.execute_wrappers.append(self._execute_limited)

    # Connecting

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params.pop("resume_seconds", None)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        def attempt(seconds_left: float) -> Any:
            seconds = max(LEAST_ATTEMPT_SECONDS, round(min(seconds_left, ATTEMPT_SECONDS)))
            options = {"connect_timeout": seconds, **self._session_options(conn_params)}
            return connect({**conn_params, **options})

        connect = super().get_new_connection
        self._own_of_session.clear()
        self._own_of_transaction.clear()
        limits = deadline.current
        if limits.asleep and not limits.is_command:
            limits.give_up()
            raise self.Database.OperationalError("the database is paused, and still waking up")
        usual = limits.connect_seconds
        seconds = min(usual, self.settings_dict["OPTIONS"].get("resume_seconds", usual))
        try:
            connection = retry_until_resumed(
                attempt, seconds=seconds, errors=self.Database.OperationalError
            )
        except self.Database.OperationalError as error:
            if is_waking_up(error):
                limits.give_up(error)
            raise
        limits.connected = True
        self._used_at = time.time()
        self._remember_limits()
        return connection

    # Using a connection

    def close_if_health_check_failed(self) -> None:
        now = time.time()  # A monotonic clock may stop while the function is frozen.
        if self.autocommit and not 0 <= now - self._used_at < IDLE_SECONDS:
            self.health_check_done = False
        self._used_at = now
        super().close_if_health_check_failed()

    def is_usable(self) -> bool:
        if not self._timeouts():
            return bool(super().is_usable())
        try:
            self._limit_statements()
        except self.Database.Error:
            return False
        return True

    def _execute_limited(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        deadline.current.check()
        if self._own_of_transaction and not self.in_atomic_block:
            self._own_of_transaction.clear()
            self._limits = None
        if self._is_outdated() and self._accepts_statements():
            with self.wrap_database_errors:
                self._limit_statements()
        deadline.current.connected = True  # The connection may be that of an earlier request.
        if "timeout" in (statement := str(sql).lower()):
            own = self._own_of_transaction if self.in_atomic_block else self._own_of_session
            own.update(match[1] or match[2] for match in OWN_TIMEOUT.finditer(statement))
        return execute(sql, params, many, context)

    def _rollback(self) -> None:
        self._limits = None  # A rollback also undoes SET.
        super()._rollback()

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)
        self._limits = None  # As above; the statement itself may have set them.

    # The server's limits

    def _is_outdated(self) -> bool:
        if deadline.current.ends is None:
            return False
        age = time.monotonic() - self._limited_at
        return self._limits is not deadline.current or age > REFRESH_SECONDS

    def _limit_statements(self) -> None:
        """Limit the next statements to the request's time; also shows whether the server responds.

        Raises the driver's errors. Not a query, after which the transaction's isolation level could
        not be set any more: https://www.postgresql.org/docs/17/sql-set-transaction.html
        """
        if timeouts := self._timeouts():
            statements = "; ".join(f"SET {name} = {ms}" for name, ms in timeouts.items())
            with self.connection.cursor() as cursor:
                cursor.execute(statements, **EXECUTE_OPTIONS)
        self._remember_limits()

    def _accepts_statements(self) -> bool:
        connection = self.connection
        return bool(connection and connection.info.transaction_status != FAILED_TRANSACTION)

    def _remember_limits(self) -> None:
        self._limits, self._limited_at = deadline.current, time.monotonic()

    def _timeouts(self) -> dict[str, int]:
        """Return the limits of the running request in milliseconds, none outside requests."""
        ends = deadline.current.ends
        if ends is None:
            return {}
        options = self.settings_dict["OPTIONS"].get("options") or ""
        own = self._own_of_session | self._own_of_transaction
        milliseconds = max(1, int((ends - time.monotonic()) * 1000))
        return {name: milliseconds for name in TIMEOUTS if name not in options and name not in own}

    def _session_options(self, conn_params: dict[str, Any]) -> dict[str, str]:
        """Return the connection parameter with the settings with which the session begins."""
        if deadline.current.is_command:
            settings = {"idle_session_timeout": COMMAND_SESSION_MS}
        else:
            settings = self._timeouts()
        own = [f"-c {name}={value}" for name, value in settings.items()]
        return {"options": " ".join([conn_params.get("options", ""), *own]).strip()} if own else {}
