"""One HTTP request and its response, between a library's bytes and the function's events.

The libraries write HTTP/1.1 and read it: https://www.rfc-editor.org/rfc/rfc9112
"""

from typing import Any

from djambda.egress.function import RequestFailed, invoke, too_large
from djambda_common import egress as protocol

MAX_HEAD = 256 * 1024
"""Bytes of the request line and the headers."""
MAX_CHUNK_LINE = 1024
NOT_FORWARDED = {"connection", "content-length", "keep-alive", "transfer-encoding"}
"""Headers about the function's connection, and its framing of the body."""
WITHOUT_BODY = {204, 304}


class Exchange:
    """A request to `origin` ("https://example.com"), which a library writes in pieces."""

    def __init__(
        self, origin: str, *, connect_timeout: float | None = None, verify: bool = True
    ) -> None:
        self.origin = origin
        self.connect_timeout = connect_timeout
        self.verify = verify
        self.is_complete = False
        self._received = bytearray()
        self._body = bytearray()
        self._method = self._target = ""
        self._headers: list[tuple[str, str]] = []
        self._length: int | None = None  # None: chunked

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises `RequestFailed` if the request cannot be forwarded."""
        self._received += data
        if not self._method:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                self._check_size(len(head), MAX_HEAD)
                return
            self._parse(head.decode("latin-1"))
            self._received = rest
        self.is_complete = self._take_chunks() if self._length is None else self._take_body()
        self._check_size(len(self._body), protocol.MAX_BODY)

    def perform(self, read_timeout: float | None) -> bytes:
        """Send the request, once, and return the bytes of the response. Raises `RequestFailed`."""
        if not self.is_complete:
            raise RequestFailed(protocol.INVALID, "the request is incomplete")
        event = {
            "method": self._method,
            "url": self.origin + self._target,
            "headers": self._headers,
            "timeout": [self.connect_timeout, read_timeout],
            "verify": self.verify,
        }
        return _as_bytes(self._method, *invoke(event, bytes(self._body)))

    def _parse(self, head: str) -> None:
        request_line, *lines = head.split("\r\n")
        self._method, self._target, _ = request_line.split(" ", 2)
        if self._method == "CONNECT" or not self._target.startswith("/"):
            raise RequestFailed(
                protocol.INVALID, f"EGRESS=proxy does not support {self._method} {self._target}"
            )
        pairs = (line.partition(":") for line in lines)
        self._headers = [(name, value.strip(" \t")) for name, _, value in pairs]
        values = {name.lower(): value for name, value in self._headers}
        is_chunked = "chunked" in values.get("transfer-encoding", "").lower()
        self._length = None if is_chunked else int(values.get("content-length", 0))

    def _take_body(self) -> bool:
        self._body += self._received
        self._received.clear()
        return len(self._body) >= (self._length or 0)

    def _take_chunks(self) -> bool:
        """Decode the chunks that are complete; return whether the last one is among them."""
        while (end := self._received.find(b"\r\n")) >= 0:
            size = int(self._received[:end].partition(b";")[0], 16)
            begin, end = end + 2, end + 2 + size
            if size == 0:
                return self._received.endswith(b"\r\n\r\n")
            if len(self._received) < end + 2:
                break
            self._body += self._received[begin:end]
            del self._received[: end + 2]
        self._check_size(len(self._received), protocol.MAX_BODY + MAX_CHUNK_LINE)
        return False

    def _check_size(self, size: int, limit: int) -> None:
        if size > limit:
            raise too_large()


def _as_bytes(method: str, result: dict[str, Any], body: bytes) -> bytes:
    """Return a response as the server would have sent it on a connection for one request."""
    version = "HTTP/1.0" if result.get("version") == 10 else "HTTP/1.1"  # noqa: PLR2004 (as in `http.client`)
    has_body = method != "HEAD" and result["status"] not in WITHOUT_BODY
    kept = NOT_FORWARDED if has_body else NOT_FORWARDED - {"content-length"}
    lines = [
        f"{version} {result['status']} {result['reason']}",
        *(f"{name}: {value}" for name, value in result["headers"] if name.lower() not in kept),
        *([f"Content-Length: {len(body)}"] if has_body else []),
        "Connection: close",
    ]
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1", "replace") + body
