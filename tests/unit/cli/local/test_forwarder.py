"""The stand-in for Aurora's pause, in front of a server that echoes."""

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest

from djambda_cli.local.pause import request_state
from tests.support.forwarders import Forwarding, forwarding
from tests.support.waiting import wait_until

TLS_REQUEST = struct.pack("!II", 8, 80877103)
NEVER = 3600.0


class Echo(socketserver.BaseRequestHandler):
    """Returns all that it receives; ends the connection after "end"."""

    def handle(self) -> None:
        while data := self.request.recv(1000):
            self.request.sendall(data)
            if data.endswith(b"end"):
                break


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a server that stands in for Postgres."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as echo:
        echo.daemon_threads = True
        thread = threading.Thread(target=echo.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield echo.server_address[1]
        echo.shutdown()
        thread.join()


def connect(forwarder: Forwarding, timeout: float = 10) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", forwarder.port), timeout)
    connection.sendall(TLS_REQUEST)
    return connection


def exchange(connection: socket.socket, message: bytes) -> bytes:
    connection.sendall(message)
    received = b""
    while len(received) < len(message):
        received += connection.recv(1_000_000)
    return received


def connection_error(forwarder: Forwarding) -> str:
    with pytest.raises(psycopg2.OperationalError) as raised:
        psycopg2.connect(
            host="127.0.0.1",
            port=forwarder.port,
            user="visitor",
            dbname="site",
            sslmode="disable",
            gssencmode="disable",
        )
    return str(raised.value)


def test_awake_database_gets_all_bytes_and_returns_its_own(server: int) -> None:
    message = b"0123456789" * 100_000

    with forwarding(server) as forwarder, connect(forwarder) as connection:
        assert connection.recv(100) == TLS_REQUEST
        assert exchange(connection, message) == message
        assert (forwarder.state.name, forwarder.state.sessions) == ("awake", 1)


@pytest.mark.parametrize("by", ["client", "server"])
def test_session_ends_with_the_connection_of_either_side(server: int, by: str) -> None:
    with forwarding(server) as forwarder:
        connection = connect(forwarder)
        assert connection.recv(100) == TLS_REQUEST
        if by == "server":
            assert exchange(connection, b"the end") == b"the end"
            assert connection.recv(100) == b""
        connection.close()

        wait_until(lambda: forwarder.state.sessions == 0)


def test_paused_database_does_not_respond(server: int) -> None:
    with forwarding(server) as forwarder:
        forwarder.pause(NEVER)
        with connect(forwarder, timeout=0.1) as connection, pytest.raises(TimeoutError):
            connection.recv(100)

        assert (forwarder.state.name, forwarder.state.sessions) == ("resuming", 0)


def test_twenty_connections_at_once_resume_it(server: int) -> None:
    def visit(number: int) -> bytes:
        with connect(forwarder) as connection:
            assert connection.recv(100) == TLS_REQUEST
            return exchange(connection, str(number).encode())

    with forwarding(server, refusal_seconds=0) as forwarder, ThreadPoolExecutor(20) as pool:
        forwarder.pause(0.3)

        assert list(pool.map(visit, range(20))) == [str(number).encode() for number in range(20)]
        assert forwarder.state.name == "awake"


def test_resuming_database_refuses_with_an_error_that_looks_permanent(server: int) -> None:
    with forwarding(server, refusal_seconds=NEVER) as forwarder:
        forwarder.pause(0)
        expected = (
            'FATAL:  no pg_hba.conf entry for host "127.0.0.1", user "visitor", '
            'database "site", no encryption'
        )

        assert expected in connection_error(forwarder)
        assert expected in connection_error(forwarder)
        assert forwarder.state.name == "resuming"


def test_database_with_sessions_does_not_pause(server: int) -> None:
    with forwarding(server) as forwarder, connect(forwarder) as connection:
        connection.recv(100)

        with pytest.raises(AssertionError, match="awake"):
            forwarder.pause()

        assert exchange(connection, b"works") == b"works"


def test_resuming_is_not_interrupted_by_another_pause(server: int) -> None:
    with forwarding(server) as forwarder:
        forwarder.pause(NEVER)
        with connect(forwarder):
            wait_until(lambda: forwarder.state.name == "resuming")

            with pytest.raises(AssertionError, match="resuming"):
                forwarder.pause()


def test_database_without_sessions_pauses_by_itself(server: int) -> None:
    with forwarding(server, refusal_seconds=0) as forwarder:
        forwarder.pause_after(0.1)
        wait_until(lambda: forwarder.state.name == "paused")
        forwarder.pause(0)
        with connect(forwarder) as connection:
            assert connection.recv(100) == TLS_REQUEST
            assert forwarder.state.name == "awake"

        wait_until(lambda: forwarder.state.name == "paused")


def test_connection_without_a_message_resumes_nothing(server: int) -> None:
    with forwarding(server) as forwarder:
        forwarder.pause()
        with socket.create_connection(("127.0.0.1", forwarder.port)):
            pass

        assert forwarder.state.name == "paused"


@pytest.mark.parametrize(
    "message", [b"GET / HTTP/1.1\r\n\r\n", struct.pack("!II", 0xFFFF, 80878180) + b"x" * 99]
)
def test_other_protocols_leave_it_working(server: int, message: bytes) -> None:
    with forwarding(server) as forwarder:
        with socket.create_connection(("127.0.0.1", forwarder.port)) as connection:
            connection.sendall(message)

        assert forwarder.state.name == "awake"


def test_stopped_server_ends_the_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    with forwarding(port) as forwarder, connect(forwarder) as connection:
        assert connection.recv(100) == b""
        wait_until(lambda: forwarder.state.sessions == 0)


def test_control_requires_the_password(server: int) -> None:
    with (
        forwarding(server) as forwarder,
        closing(socket.create_connection(("127.0.0.1", forwarder.port))),
        pytest.raises(ConnectionRefusedError),
    ):
        request_state(forwarder.port, "of another cloud")
