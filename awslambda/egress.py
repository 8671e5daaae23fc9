"""The egress function: it makes an HTTP request for Django, which has no IPv4 in its VPC.

With `EGRESS=proxy`, Django invokes it for hosts without an IPv6 address (`djambda.egress`).
`djambda_common.egress` describes events and results. It follows no redirects and repeats nothing:
Django's HTTP library decides about both. It connects to public addresses only, and logs a line for
each request, without its path, headers and body.
"""

import binascii
import http.client
import json
import socket
import ssl
import time
from functools import cache
from urllib.parse import urlsplit

from djambda_common import egress as protocol
from public_addresses import is_allowed, is_misspelled, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lambda_types import Context

OWN_SECONDS = 1.0
"""Time to return a result before Lambda stops the function."""
CHUNK = 65_536
EARLY_HINTS = 102, 199
"""The statuses that precede a response: https://www.rfc-editor.org/rfc/rfc9110#section-15.2"""
PORTS = {"http": 80, "https": 443}
NOT_FORWARDED = (
    *("connection", "expect", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"),
)
"""Headers about the connection, which is another one: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1"""


class EgressError(Exception):
    """The request failed; `kind` is an error of `djambda_common.egress`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class FinalResponse(http.client.HTTPResponse):
    """A response without those that precede it, such as 103 (Early Hints).

    `http.client` leaves out only 100 (Continue).
    """

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not EARLY_HINTS[0] <= status <= EARLY_HINTS[1]:
                return version, status, reason
            http.client.parse_headers(self.fp)


class Request:
    """A validated event. `target` is the path with the query."""

    def __init__(self, event: "Any") -> None:
        try:
            url = urlsplit(event["url"])
            self.host, self.port = url.hostname or "", url.port or PORTS[url.scheme]
            self.tls = url.scheme == "https"
            self.target = event["url"].partition("://")[2][len(url.netloc) :] or "/"
            self.method = str(event["method"])
            self.headers = [(str(name), str(value)) for name, value in event.get("headers", [])]
            self.body = binascii.a2b_base64(event.get("body", ""), strict_mode=True)
            self.timeouts = [_seconds(each) for each in event.get("timeout") or (None, None)]
            self.seconds = _seconds(event.get("seconds"))
            self.verify = event.get("verify", True) is not False
            self.invocation = str(event.get("invocation", ""))[:64]
            self.host.encode("ascii")
        except (binascii.Error, AttributeError, LookupError, TypeError, ValueError) as error:
            raise EgressError(protocol.INVALID, f"not a request: {error!r}") from error
        if not self.host or "@" in url.netloc:
            raise EgressError(protocol.INVALID, "not a URL of a host")


def lambda_handler(event: object, context: "Context") -> "dict[str, Any]":
    """Make the request of an event, and return its result."""
    begin = time.monotonic()
    available = context.get_remaining_time_in_millis() / 1000 - OWN_SECONDS
    line: dict[str, object] = {"requestId": context.aws_request_id}
    try:
        request = Request(event)
        line |= {
            "invocationId": request.invocation,
            "method": request.method[:20],
            "host": request.host[:255],
        }
        result = respond(request, begin + min(available, request.seconds or available))
        line["status"] = result["status"]
    except EgressError as error:
        result = {"error": error.kind, "message": str(error)}
        line["status"] = error.kind
    _log({**line, "ms": round((time.monotonic() - begin) * 1000)})
    return result


def respond(request: Request, deadline: float) -> "dict[str, Any]":
    """Return the server's response. Raises `EgressError`."""
    connection = http.client.HTTPConnection(request.host, request.port)
    connection.auto_open = 0  # Nothing is sent twice.
    connection.response_class = FinalResponse
    sock = connect(request, deadline)
    connection.sock = sock
    try:
        sock.settimeout(_remaining(request.timeouts[1], deadline))
        _send(connection, request)
        with connection.getresponse() as response:
            return _result(response, request, sock, deadline)
    except TimeoutError as error:
        raise EgressError(protocol.READ_TIMEOUT, f"{request.host} did not respond") from error
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise EgressError(
            protocol.BROKEN, f"the connection to {request.host} broke: {reason}"
        ) from error
    finally:
        sock.close()


def connect(request: Request, deadline: float) -> socket.socket:
    """Return a connection to the host, with TLS if the URL is https. Raises `EgressError`."""
    deadline = min(deadline, time.monotonic() + _remaining(request.timeouts[0], deadline))
    host, last = request.host, None
    for family, address in _addresses(request):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(_remaining(None, deadline))
            sock.connect((address, request.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return (
                tls(verify=request.verify).wrap_socket(sock, server_hostname=host)
                if request.tls
                else sock
            )
        except ssl.SSLError as error:
            sock.close()
            raise EgressError(protocol.TLS, f"{host}: {error}") from error
        except OSError as error:
            sock.close()
            last = error
    if isinstance(last, TimeoutError):
        raise EgressError(protocol.CONNECT_TIMEOUT, f"connecting to {host} timed out")
    if isinstance(last, ConnectionRefusedError):
        raise EgressError(protocol.REFUSED, f"{host} refused the connection")
    raise EgressError(protocol.UNREACHABLE, f"cannot connect to {host}: {last}")


@cache
def tls(*, verify: bool) -> ssl.SSLContext:
    """Return the TLS settings: Python's own, or without verification."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _addresses(request: Request) -> list[tuple[socket.AddressFamily, str]]:
    """Return the allowed addresses of the host, to which alone the function connects."""
    host = request.host
    if is_misspelled(host):
        raise EgressError(protocol.BLOCKED, f"{host} is not a usual way to write an address")
    try:
        found = resolve(host, request.port)
    except (OSError, UnicodeError) as error:
        raise EgressError(protocol.NAME, f"cannot resolve {host}: {error}") from error
    allowed = [each for each in found if is_allowed(each[1])]
    if not allowed:
        raise EgressError(protocol.BLOCKED, f"{host} has no public address")
    return allowed


def _send(connection: http.client.HTTPConnection, request: Request) -> None:
    """Send the request with its headers in their order. Raises `EgressError` if one is invalid."""
    names = {name.lower() for name, _ in request.headers}
    try:
        connection.putrequest(
            request.method, request.target, skip_host="host" in names, skip_accept_encoding=True
        )
        for name, value in request.headers:
            if name.lower() not in (*NOT_FORWARDED, "content-length"):
                connection.putheader(name, value.encode("latin-1"))
        if request.body or names & {"content-length", "transfer-encoding"}:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.putheader("Connection", "close")
    except (ValueError, http.client.InvalidURL) as error:
        raise EgressError(protocol.INVALID, f"not a request: {error}") from error
    connection.endheaders(request.body or None)


def _result(
    response: http.client.HTTPResponse, request: Request, sock: socket.socket, deadline: float
) -> "dict[str, Any]":
    chunks, size = [], 0
    while chunk := response.read1(CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > protocol.MAX_BODY or (response.length or 0) > protocol.MAX_BODY:
            raise EgressError(
                protocol.TOO_LARGE,
                f"the response of {request.host} has more than {protocol.MAX_BODY} bytes",
            )
        if not response.isclosed():  # With "Connection: close", the end also closes the socket.
            sock.settimeout(_remaining(request.timeouts[1], deadline))
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return {
        "status": response.status,
        "reason": response.reason,
        "version": response.version,
        "headers": response.getheaders(),
        "body": binascii.b2a_base64(b"".join(chunks), newline=False).decode(),
    }


def _seconds(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]  # A ValueError else.


def _remaining(timeout: float | None, deadline: float) -> float:
    """Return the seconds until the deadline, or the timeout if that is less."""
    remaining = max(0.001, deadline - time.monotonic())
    return remaining if timeout is None else max(0.001, min(timeout, remaining))


def _log(fields: "dict[str, object]") -> None:
    """Log one line. Lambda's log level filter reads `timestamp` and `level`.

    `invocationId` is the request id in Django's log.
    """
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = {"timestamp": now, "level": "INFO", "message": "request", **fields}
    print(json.dumps(line), flush=True)  # noqa: T201 (importing logging takes longer)


tls(verify=True)  # While Lambda initializes the function, with a full CPU.
