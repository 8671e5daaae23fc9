"""Connecting to a database that is paused, missing, or rejects the connection."""

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection

from djambda.db.base import DatabaseWrapper
from djambda.db.resume import is_waking_up, retry_until_resumed


class Clock:
    """A clock that only `sleep` advances."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Attempt:
    """An attempt that fails with each of `messages`, then succeeds."""

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)
        self.seconds_left: list[float] = []

    def __call__(self, seconds_left: float) -> str:
        self.seconds_left.append(seconds_left)
        if self.messages:
            raise OperationalError(self.messages.pop(0))
        return "connected"


def connect(attempt: Attempt, clock: Clock, seconds: float = 25) -> str:
    return retry_until_resumed(
        attempt, seconds=seconds, errors=OperationalError, clock=clock, sleep=clock.sleep
    )


@pytest.mark.parametrize(
    "message",
    [
        'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "mysite", database "mysite"',
        "FATAL:  the database system is starting up",
        "timeout expired",
        "Connection refused",
        "server closed the connection unexpectedly",
        'could not translate host name "db" to address: Temporary failure in name resolution',
    ],
)
def test_paused_database_is_retried(message: str) -> None:
    clock = Clock()
    attempt = Attempt(*[message] * 5)

    assert connect(attempt, clock) == "connected"
    assert clock.pauses == [0.25, 0.5, 1.0, 2.0, 2.0]
    assert attempt.seconds_left == [25, 24.75, 24.25, 23.25, 21.25, 19.25]


@pytest.mark.parametrize(
    "message",
    [
        'FATAL:  password authentication failed for user "mysite"',
        'FATAL:  database "mysite" does not exist',
        'FATAL:  role "mysite" does not exist',
        'FATAL:  role "mysite" is not permitted to log in',
        'FATAL:  permission denied for database "mysite"',
        'root certificate file "/root/.postgresql/root.crt" does not exist',
        "SSL error: certificate verify failed",
        "server does not support SSL, but SSL was required",
        'invalid sslmode value: "requier"',
    ],
)
def test_permanent_error_is_raised_at_once(message: str) -> None:
    clock = Clock()

    with pytest.raises(OperationalError, match=message[:20]):
        connect(Attempt(message, message), clock)
    assert clock.pauses == []


def test_retries_end_after_the_time_limit() -> None:
    clock = Clock()

    with pytest.raises(OperationalError, match="paused"):
        connect(Attempt(*["paused"] * 1000), clock, seconds=25)
    assert 100 + 22 < clock.now <= 100 + 25


@pytest.mark.parametrize(
    ("message", "waking_up"),
    [
        ("timeout expired", True),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', True),
        ("FATAL:  sorry, too many clients already", False),
        ("FATAL:  remaining connection slots are reserved for roles with SUPERUSER", False),
        ('FATAL:  role "mysite" does not exist', False),
        ('could not translate host name "x" to address: Name or service not known', False),
        ('could not translate host name "x" to address: Temporary failure in name res', True),
    ],
)
def test_visitors_are_told_the_truth(message: str, waking_up: bool) -> None:
    assert is_waking_up(OperationalError(message)) == waking_up


def test_other_errors_are_not_retried() -> None:
    def attempt(_: float) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retry_until_resumed(attempt, seconds=25, errors=OperationalError, sleep=lambda _: None)


# The backend, with a real server


class ResumingServer:
    """A listener in front of the real server that rejects the first clients, as Aurora does."""

    def __init__(self, rejected: int, server: str) -> None:
        self.clients = 0
        self._rejected = rejected
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            if self.clients <= self._rejected:
                with client:
                    self._reject(client)
            else:
                self._forward(client)

    def _reject(self, client: socket.socket) -> None:
        # https://www.postgresql.org/docs/17/protocol-message-formats.html: ErrorResponse.
        client.recv(8192)
        fields = b"SFATAL\0C28000\0Mno pg_hba.conf entry for host\0\0"
        client.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)

    def _forward(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self._server}/.s.PGSQL.5432")
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._copy, args=(source, target)).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        # If one side closes first, the other thread may close this socket.
        with target, contextlib.suppress(OSError):
            while data := source.recv(8192):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def wrapper(**changes: Any) -> DatabaseWrapper:
    """Return the backend under test, connected to the tests' database."""
    options = {"sslmode": "disable", "resume_seconds": 2, **changes.pop("OPTIONS", {})}
    return DatabaseWrapper({**connection.settings_dict, "OPTIONS": options, **changes}, "resuming")


@pytest.fixture
def server(django_db_setup: None) -> Iterator[ResumingServer]:
    server = ResumingServer(rejected=2, server=str(connection.settings_dict["HOST"]))
    yield server
    server.close()


@pytest.mark.django_db
def test_backend_waits_for_a_paused_database(
    server: ResumingServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "djambda.db.resume")
    database = wrapper(HOST="127.0.0.1", PORT=server.port)

    with database.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    database.close()
    assert server.clients == 3
    assert caplog.text.count("retrying") == 2


@pytest.mark.django_db
def test_backend_does_not_wait_for_a_missing_database() -> None:
    started = time.monotonic()

    with pytest.raises(OperationalError, match="does not exist"):
        wrapper(NAME="nonsense", OPTIONS={"resume_seconds": 25}).ensure_connection()
    assert time.monotonic() - started < 10


@pytest.mark.django_db
def test_backend_stops_after_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]

    with pytest.raises(OperationalError, match="refused"):
        wrapper(HOST="127.0.0.1", PORT=port, OPTIONS={"resume_seconds": 1}).ensure_connection()


def test_libpq_gets_only_its_own_options() -> None:
    params = wrapper().get_connection_params()

    assert "resume_seconds" not in params
    assert params["sslmode"] == "disable"
