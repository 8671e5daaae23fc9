"""The stand-in for the socket of `urllib3`, which `requests` uses."""

import io
import socket
import ssl
from types import ModuleType
from typing import Any

from djambda.egress import hosts, tls
from djambda.egress.exchange import Exchange
from djambda.egress.function import RequestFailed
from djambda.egress.http_client import FailedRead, StandIn, origin_of, timeout_of


class Urllib3StandIn(StandIn):
    """Sends the request when `urllib3` receives: only then, it has set the timeout for reading."""

    def __init__(self, exchange: Exchange, connection: Any) -> None:
        super().__init__(exchange, timeout_of(connection))
        self._connection = connection

    def sendall(self, data: bytes) -> None:
        """Take the next bytes of the request."""
        try:
            self._exchange.write(bytes(data))
        except RequestFailed as failure:
            raise failure.error from failure
        if getattr(self._connection, "_expect_header_set", False):
            # botocore would wait for the socket to be readable before it sends the body.
            self._connection._expect_header_set = False

    def makefile(self, *_arguments: object, **_keywords: object) -> io.BufferedIOBase:
        """Return the response, whose reading fails if there is none."""
        try:
            return io.BytesIO(self._exchange.perform(self._timeout))
        except RequestFailed as failure:
            error: Exception = failure.error
            if not failure.was_sent:
                error = _as_connect_error(self._connection, failure.error)
            return io.BufferedReader(FailedRead(error))


def install(module: ModuleType) -> None:
    """Let the connections of `urllib3.connection` use the function."""
    for class_, scheme in ((module.HTTPConnection, "http"), (module.HTTPSConnection, "https")):
        class_.connect = _connecting(class_.connect, scheme)


def _connecting(connect: Any, scheme: str) -> Any:
    def connect_or_stand_in(self: Any) -> None:
        is_through_proxy = self._tunnel_host or getattr(self, "proxy", None)
        if is_through_proxy or not hosts.go_through_function(self.host, self.port):
            connect(self)
            return
        verify = scheme == "http" or _verifies(self)
        exchange = Exchange(
            origin_of(self, scheme), connect_timeout=timeout_of(self), verify=verify
        )
        self.sock = Urllib3StandIn(exchange, self)
        self.is_verified = scheme == "https" and verify

    return connect_or_stand_in


def _verifies(connection: Any) -> bool:
    """Return whether a connection verifies certificates. Raises `ssl.SSLError` if it is special."""
    if connection.cert_file or connection.key_file:
        raise tls.unsupported("a client certificate")
    names = {connection.assert_hostname or None, connection.server_hostname, connection.host, None}
    if connection.assert_fingerprint or len(names) > 2:  # noqa: PLR2004 (the host and None)
        raise tls.unsupported("a fingerprint, or a certificate of another name")
    verify = connection.cert_reqs not in {None, ssl.CERT_NONE, "CERT_NONE"}
    if not verify:
        return False
    places = [place for place in (connection.ca_certs, connection.ca_cert_dir) if place]
    if not all(map(tls.is_public_bundle, places)) or connection.ca_cert_data:
        raise tls.unsupported("certificate authorities of your own")
    if connection.ssl_context is not None:  # Its `verify_mode` will be `cert_reqs`.
        tls.require_public(connection.ssl_context, more=bool(places))
    return True


def _as_connect_error(connection: Any, error: OSError) -> Exception:
    """Return the exception that `urllib3` raises if it cannot connect."""
    from urllib3 import exceptions  # noqa: PLC0415 (it is being imported when this module is)

    if isinstance(error, ssl.SSLError):
        return error
    if isinstance(error, socket.gaierror) and hasattr(exceptions, "NameResolutionError"):
        return exceptions.NameResolutionError(connection.host, connection, error)
    if isinstance(error, TimeoutError):
        return exceptions.ConnectTimeoutError(connection, str(error))
    return exceptions.NewConnectionError(connection, f"Failed to establish a connection: {error}")
