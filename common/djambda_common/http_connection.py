"""Send requests over HTTP/1.1 without `http.client`.

Its import takes a third of the proxy's cold start, most of it for parsing headers as those of an
email. This module has what AWS's APIs need: https://www.rfc-editor.org/rfc/rfc9112
"""

import math
import socket
import ssl
import time
from collections.abc import Callable, Mapping

MAX_LINE = 65_536
MAX_HEADERS = 100
"""Bytes of a line, and number of header lines, as in `http.client`."""

WITHOUT_BODY = {204, 304}
"""The statuses whose responses end with their headers, of which S3's to DELETE has no length:
https://www.rfc-editor.org/rfc/rfc9112#section-6.3"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader
    from typing import Any


class BadResponse(OSError):  # noqa: N818 (an outcome)
    """The peer closed the connection before the end of its response, or did not send HTTP."""


class Response:
    """A response with any status. Header names are in lower case."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Connection:
    """A connection to the host of an http or https URL. `sock` is None while it is closed."""

    def __init__(self, url: str, *, timeout: float, tls: Callable[[], ssl.SSLContext]) -> None:
        scheme, _, rest = url.partition("://")
        self.netloc = rest.partition("/")[0]
        self.host, self.port = _address(self.netloc, 443 if scheme == "https" else 80)
        self.sock: Any = None
        self._timeout = timeout
        self._tls = tls if scheme == "https" else None

    def connect(self, *, within: float = math.inf) -> None:
        """Open the connection, within so many seconds for all addresses of the host together.

        Raises `OSError`.
        """
        # A str would be encoded with `encodings.idna`, whose import takes a while.
        host = self.host.encode("ascii" if self.host.isascii() else "idna")
        sock = self._open_socket(host, time.monotonic() + within)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._tls().wrap_socket(sock, server_hostname=host) if self._tls else sock

    def _open_socket(self, host: bytes, ends: float) -> socket.socket:
        """Return a socket that is connected to the first address of `host` that responds."""
        failure: OSError = TimeoutError("timed out")
        addresses = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in addresses:
            timeout = min(self._timeout, ends - time.monotonic())
            if timeout <= 0:
                break
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(timeout)
            try:
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a request. `headers` have none that concern the message's length.

        Raises `OSError`, or `ValueError` if a line contains a line break.
        """
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
            f"content-length: {len(body)}",
        ]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("A request's path or header contains a line break.")
        if self.sock is None:
            self.connect()
        self.sock.sendall("\r\n".join([*lines, "\r\n"]).encode("latin-1") + body)

    def receive(self) -> Response:
        """Receive the response, and close the connection if the peer will.

        Raises `OSError`: `TimeoutError`, `BadResponse`, or another.
        """
        with self.sock.makefile("rb") as reader:
            status = 100
            while status < 200:  # noqa: PLR2004 (informational responses precede the final one)
                version, status = _status(_line(reader))
                headers = _headers(reader)
            if status in WITHOUT_BODY:
                body = b""
            elif "chunked" in headers.get("transfer-encoding", "").lower():
                body = _chunks(reader)
            else:
                body = _exactly(reader, _number(headers.get("content-length", ""), 10))
        if version == b"HTTP/1.0" or "close" in headers.get("connection", "").lower():
            self.close()
        return Response(status, headers, body)

    def close(self) -> None:
        """Close the connection."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None


def _address(netloc: str, port: int) -> tuple[str, int]:
    """Return host and port of "host", "host:port", "[ipv6]" or "[ipv6]:port"."""
    if netloc.rfind(":") > netloc.rfind("]"):
        netloc, _, digits = netloc.rpartition(":")
        port = int(digits)
    return netloc.strip("[]"), port


def _line(reader: "BufferedReader") -> bytes:
    """Return the next line without its end."""
    line = reader.readline(MAX_LINE + 1)
    if not line.endswith(b"\n"):
        raise BadResponse(f"the response ends after {line[:100]!r}")
    return line.rstrip(b"\r\n")


def _status(line: bytes) -> tuple[bytes, int]:
    version, _, rest = line.partition(b" ")
    if version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise BadResponse(f"{line[:100]!r} is not a status line")
    return version, _number(rest[:3].decode("latin-1"), 10)


def _headers(reader: "BufferedReader") -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS + 1):
        line = _line(reader).decode("latin-1")
        if not line:
            return headers
        name, colon, value = line.partition(":")
        if not colon:
            raise BadResponse(f"{line[:100]!r} is not a header")
        headers[name.lower()] = value.strip()
    raise BadResponse(f"the response has more than {MAX_HEADERS} headers")


def _chunks(reader: "BufferedReader") -> bytes:
    """Read the chunked body, and the trailer after it."""
    chunks = []
    while size := _number(_line(reader).partition(b";")[0].strip().decode("latin-1"), 16):
        chunks.append(_exactly(reader, size))
        if _line(reader):
            raise BadResponse("a chunk is longer than its size")
    _headers(reader)
    return b"".join(chunks)


def _exactly(reader: "BufferedReader", size: int) -> bytes:
    content = reader.read(size)
    if len(content) < size:
        raise BadResponse(f"the response ends after {len(content)} of {size} bytes")
    return content


def _number(digits: str, base: int) -> int:
    # int() alone also accepts signs, spaces and underscores.
    if not digits.isalnum():
        raise BadResponse(f"{digits[:100]!r} is not a size or status")
    try:
        return int(digits, base)
    except ValueError:
        raise BadResponse(f"{digits[:100]!r} is not a size or status") from None
