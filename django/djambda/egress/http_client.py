"""The stand-in for the socket of `http.client`, which `urllib.request` uses."""

import http.client
import io
import socket
from typing import Any

from djambda.egress import hosts, tls
from djambda.egress.exchange import Exchange
from djambda.egress.function import RequestFailed


class FailedRead(io.RawIOBase):
    """A file whose reading raises an exception."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, _buffer: object) -> int:
        """Raise the exception."""
        raise self._error


class StandIn:
    """Stands in for a connection's socket.

    It sends the request as soon as it is complete: `http.client` expects errors of connecting while
    it sends, and others while it receives.
    """

    def __init__(self, exchange: Exchange, timeout: float | None) -> None:
        self._exchange = exchange
        self._timeout = timeout
        self._file: io.BufferedIOBase = io.BytesIO()

    def sendall(self, data: bytes) -> None:
        """Take the next bytes of the request."""
        try:
            self._exchange.write(bytes(data))
            if self._exchange.is_complete:
                self._file = io.BytesIO(self._exchange.perform(self._timeout))
        except RequestFailed as failure:
            if not failure.was_sent:
                raise failure.error from failure
            self._file = io.BufferedReader(FailedRead(failure.error))

    def makefile(self, *_arguments: object, **_keywords: object) -> io.BufferedIOBase:
        """Return the response, whose reading fails if there is none."""
        return self._file

    def settimeout(self, timeout: float | None) -> None:
        """Set the seconds to wait for data."""
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        """Return the seconds to wait for data."""
        return self._timeout

    def setsockopt(self, *_arguments: object) -> None:
        """Ignore the options of a real socket."""

    def shutdown(self, _how: int) -> None:
        """Do nothing: the response has been read."""

    def close(self) -> None:
        """Do nothing."""


def install() -> None:
    """Let connections of `http.client` use the function."""
    connect = http.client.HTTPConnection.connect
    connect_with_tls = http.client.HTTPSConnection.connect

    def connect_plainly(self: http.client.HTTPConnection) -> None:
        is_secure = isinstance(self, http.client.HTTPSConnection)  # It comes from below.
        if is_secure or not _use_stand_in(self, "http"):
            connect(self)

    def connect_securely(self: http.client.HTTPSConnection) -> None:
        if not _use_stand_in(self, "https"):
            connect_with_tls(self)

    http.client.HTTPConnection.connect = connect_plainly  # type: ignore[method-assign]
    http.client.HTTPSConnection.connect = connect_securely  # type: ignore[assignment]


def timeout_of(connection: Any) -> float | None:
    """Return a connection's timeout in seconds."""
    timeout = connection.timeout
    return timeout if isinstance(timeout, int | float) else socket.getdefaulttimeout()


def origin_of(connection: Any, scheme: str) -> str:
    """Return the origin to which a connection leads."""
    host = connection.host.encode("idna").decode() if not connection.host.isascii() else None
    host = host or connection.host
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{connection.port}"


def _use_stand_in(connection: Any, scheme: str) -> bool:
    if connection._tunnel_host or not hosts.go_through_function(connection.host, connection.port):
        return False
    verify = scheme == "http" or tls.verifies(connection._context)
    timeout = timeout_of(connection)
    exchange = Exchange(origin_of(connection, scheme), connect_timeout=timeout, verify=verify)
    connection.sock = StandIn(exchange, timeout)
    return True
