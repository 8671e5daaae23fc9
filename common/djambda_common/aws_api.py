"""Send signed requests to AWS APIs, for functions that must start fast and must not act twice.

Importing boto3 takes longer than Django takes to respond, and boto3 retries requests that may have
been processed. This module does neither. The proxy and the release invoke Django with it; the
secrets function and Django call SSM. It uses only the standard library, because it ships in both
Lambda packages.

A failed call raises `NotSent` if the service cannot have acted on the request, so that sending it
again is safe, and `OutcomeUnknown` if the service may have.
"""
# ruff: noqa: N818 (each name describes an outcome)

import json
import os
import socket
import ssl
import time
from collections.abc import Mapping
from functools import cache

from djambda_common.aws_signature import Request, required_variable, sign
from djambda_common.http_connection import Connection, Response

CONNECT_TIMEOUT = 3.0
"""Seconds for TCP and TLS together, for each address of the host."""

MAX_IDLE = 10.0
"""Seconds after which an idle connection is not used again.

A frozen function does not notice that its peer, or a NAT on the way, has closed the connection, and
a request written into a dead connection ends as `OutcomeUnknown`.
"""

HOSTS = {"ses": "email"}
"""The first part of a service's host, if it differs from the service's name in signatures."""

_idle: dict[str, tuple[Connection, float]] = {}
"""Endpoint -> its open connection, and the time of its last use."""


class NotSent(OSError):
    """The service cannot have acted on the request: sending it again is safe."""


class OutcomeUnknown(OSError):
    """The request was sent, but there was no response: the service may have acted on it."""


class Sent:
    """A request that has been sent. `response` must be called once."""

    __slots__ = ("_connection", "_deadline", "_endpoint", "_target")

    def __init__(self, connection: Connection, endpoint: str, target: str, deadline: float) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._target = target
        self._deadline = deadline

    def response(self) -> Response:
        """Return the response with any status. Raises `OutcomeUnknown`."""
        connection = self._connection
        try:
            response = _receive(connection, self._target, self._deadline)
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:  # None: the service asked to close it.
            _keep(self._endpoint, connection)
        return response


def call(  # noqa: PLR0913 (one keyword per part of an HTTP request)
    service: str,
    *,
    method: str = "POST",
    path: str = "/",
    headers: Mapping[str, str] = {},
    body: bytes = b"",
    timeout: float,
) -> Response:
    """Send one request to `service` ("lambda", "ses") and return its response with any status.

    The arguments are those of `send`. Raises `NotSent` or `OutcomeUnknown`; never sends anything
    twice.
    """
    return send(service, Request(method, path, headers, body), timeout=timeout).response()


def send(service: str, request: Request, *, timeout: float, endpoint: str = "") -> Sent:
    """Send one request, whose response can be received later: several can be in progress.

    The path has the query string and must be percent-encoded already (`encoded` does that for one
    segment or value). `timeout` is in seconds and covers everything until the response begins.
    `endpoint` is that of the service unless it is given. Credentials and region come from the
    environment, as Lambda sets them.

    Raises `NotSent`.
    """
    endpoint = endpoint or endpoint_url(service)
    request.headers = sign(request, service, endpoint, at=time.time())
    deadline = time.monotonic() + timeout
    connection = _take(endpoint) or _open(endpoint, timeout)
    target = f"{request.method} {connection.host}:{connection.port}"
    try:
        _transmit(connection, request, target, deadline)
    except BaseException:
        connection.close()
        raise
    return Sent(connection, endpoint, target, deadline)


def connect(service: str) -> None:
    """Open the connection that the next call to `service` will use.

    For a function's INIT phase, which has a full CPU: reading the certificate authorities and the
    TLS handshake take many times longer in a small function's INVOKE phase. If it fails, the next
    call connects again and raises the error.
    """
    endpoint = endpoint_url(service)
    try:
        connection = _open(endpoint, CONNECT_TIMEOUT)
    except NotSent:
        return
    _keep(endpoint, connection)


def error_of(response: Response) -> tuple[str, str]:
    """Return the type and the message of an error response, each "" if AWS sends none.

    REST APIs such as Lambda have the type in a header, JSON APIs such as SSM in the body:
    https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization
    """
    try:
        body = json.loads(response.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {}
    name = str(response.headers.get("x-amzn-errortype") or body.get("__type") or "")
    message = str(body.get("message") or body.get("Message") or "")
    return name.partition(":")[0].rpartition("#")[2], message


def endpoint_url(service: str) -> str:
    """Return the base URL of a service: AWS_ENDPOINT_URL, or AWS's own host in AWS_REGION.

    Hosts: https://docs.aws.amazon.com/general/latest/gr/rande.html#dual-stack-endpoints
    """
    if local := os.environ.get("AWS_ENDPOINT_URL"):
        return local.rstrip("/")
    region = required_variable("AWS_REGION")
    china = region.startswith("cn-")
    if os.environ.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true":
        domain = "api.amazonwebservices.com.cn" if china else "api.aws"
    else:
        domain = "amazonaws.com.cn" if china else "amazonaws.com"
    return f"https://{HOSTS.get(service, service)}.{region}.{domain}"


def http_connection(url: str, *, timeout: float) -> Connection:
    """Return a connection to the host of `url` that is not open yet.

    All share one TLS context: reading the certificate authorities takes longer than most requests.
    """
    return Connection(url, timeout=timeout, tls=_tls)


def _transmit(connection: Connection, request: Request, target: str, deadline: float) -> None:
    """Send a request. All errors are `NotSent`."""
    timeout = deadline - time.monotonic()
    if timeout <= 0:
        raise NotSent(f"{target}: no time left after connecting")
    connection.sock.settimeout(timeout)
    try:
        connection.send(request.method, request.path, request.headers, request.body)
    except OSError as error:
        # The service got an incomplete request: shorter than its Content-Length (RFC 9112,
        # section 8), and not matching the signed hash.
        raise NotSent(f"{target}: the connection broke while sending: {error}") from error


def _receive(connection: Connection, target: str, deadline: float) -> Response:
    """Receive the response to a request. All errors are `OutcomeUnknown`."""
    timeout = max(0.001, deadline - time.monotonic())
    connection.sock.settimeout(timeout)
    try:
        return connection.receive()
    except TimeoutError as error:
        raise OutcomeUnknown(f"{target}: no response within {timeout:.1f} s") from error
    except OSError as error:
        raise OutcomeUnknown(f"{target}: the connection broke: {error}") from error


def _open(endpoint: str, timeout: float) -> Connection:
    connection = http_connection(endpoint, timeout=min(timeout, CONNECT_TIMEOUT))
    try:
        connection.connect(within=timeout)
    except OSError as error:
        connection.close()
        raise NotSent(f"{connection.host}:{connection.port}: cannot connect: {error}") from error
    # A synchronous invocation is silent while the function runs, for up to 15 minutes, and a
    # NAT forgets a silent connection after 350 s.
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # Missing on macOS, where the default is good enough.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    return connection


def _take(endpoint: str) -> Connection | None:
    """Remove and return the endpoint's idle connection, or None if it cannot be used."""
    connection, used = _idle.pop(endpoint, (None, 0.0))
    if connection is None:
        return None
    # Not a monotonic clock, which may stop while the function is frozen.
    if 0 <= time.time() - used < MAX_IDLE and _is_silent(connection.sock):
        return connection
    connection.close()
    return None


def _keep(endpoint: str, connection: Connection) -> None:
    kept = (connection, time.time())
    if _idle.setdefault(endpoint, kept) is not kept:
        connection.close()  # Another thread has kept one already.


def _is_silent(sock: socket.socket) -> bool:
    """Return whether there is nothing to read; an end of file means that the peer has closed.

    Reading, unlike polling, also consumes TLS session tickets, which do not mean that.
    """
    sock.settimeout(0)
    try:
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
