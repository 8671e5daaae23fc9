"""Invoke the egress function, once for each request.

A library must know whether the server may have received its request, and gets the exception that a
socket would have raised.
"""

import base64
import errno
import json
import os
import socket
import ssl
import time
from typing import Any

from djambda import deadline
from djambda_common import egress as protocol
from djambda_common.aws_api import NotSent, OutcomeUnknown, call, error_of
from djambda_common.aws_signature import encoded
from djambda_common.http_connection import Response
from djambda_common.names import EGRESS_VARIABLE
from djambda_common.problem import SAFE_METHODS

LONGEST_SECONDS = 880.0
"""The time of a request in a command or task; the function has 15 minutes."""
RESERVE_SECONDS = 0.5
"""The time that a web request has left to handle a timeout."""
START_SECONDS = 5.0
"""The time that the function may need to start, which a web request may not have."""
TRIES_TO_SEND = 2
ERROR = 400
SERVER_ERROR = 500

ERRNO = {
    protocol.BLOCKED: errno.EACCES,
    protocol.BROKEN: errno.ECONNRESET,
    protocol.INVALID: errno.EINVAL,
    protocol.REFUSED: errno.ECONNREFUSED,
    protocol.TOO_LARGE: errno.EMSGSIZE,
    protocol.UNREACHABLE: errno.EHOSTUNREACH,
}

invocation_id = ""
"""The id of Django's invocation, which the egress function adds to its log."""


class RequestFailed(Exception):  # noqa: N818 (an outcome)
    """There is no response. `error` is the exception for the library.

    `was_sent` is true if the server may have received the request.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.was_sent = kind not in protocol.NOT_SENT
        self.error = _as_socket_error(kind, f"{message} (through the egress function)")


def seconds_left() -> float:
    """Return the seconds that a request may take, at most until its visitor's time is over."""
    ends = deadline.current.ends
    if ends is None:
        return deadline.LATE_SECONDS if deadline.current.is_late else LONGEST_SECONDS
    return max(0.1, ends - time.monotonic() - RESERVE_SECONDS)


def invoke(event: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the result of an event and its body. Raises `RequestFailed`."""
    if event["method"] not in SAFE_METHODS:
        deadline.current.act()
    seconds = seconds_left()
    event = {
        **event,
        "body": base64.b64encode(body).decode(),
        "seconds": seconds,
        "invocation": invocation_id,
    }
    payload = json.dumps(event, separators=(",", ":")).encode()
    if len(payload) > protocol.MAX_PAYLOAD:
        # Nothing is sent, but another attempt would also fail.
        raise too_large()
    # In a web request, before it is stopped, so that its code gets the library's exception.
    reserve = START_SECONDS if seconds >= LONGEST_SECONDS else RESERVE_SECONDS / 2
    result = _result(_send(payload, seconds + reserve))
    if "error" in result:
        raise RequestFailed(str(result["error"]), str(result.get("message", "")))
    return result, base64.b64decode(result["body"])


def too_large() -> RequestFailed:
    """Return the error for a request that does not fit into an event."""
    return RequestFailed(
        protocol.TOO_LARGE, f"the request has a body of more than {protocol.MAX_BODY} bytes"
    )


def _send(payload: bytes, timeout: float) -> Response:
    path = f"/2015-03-31/functions/{encoded(os.environ[EGRESS_VARIABLE])}/invocations"
    headers = {"Content-Type": "application/json"}
    for attempt in range(1, TRIES_TO_SEND + 1):
        try:
            return call("lambda", path=path, headers=headers, body=payload, timeout=timeout)
        except NotSent as error:
            if attempt == TRIES_TO_SEND:
                raise RequestFailed(
                    protocol.UNREACHABLE, f"cannot invoke the egress function: {error}"
                ) from error
        except OutcomeUnknown as error:
            is_timeout = isinstance(error.__cause__, TimeoutError)
            kind = protocol.READ_TIMEOUT if is_timeout else protocol.BROKEN
            raise RequestFailed(kind, f"the egress function did not respond: {error}") from error
    raise AssertionError


def _result(response: Response) -> dict[str, Any]:
    """Return the function's result. Raises `RequestFailed`."""
    if response.status >= ERROR:
        name, message = error_of(response)
        # Throttled, or refused: nothing ran. An error of Lambda's own may come after that.
        kind = protocol.BROKEN if response.status >= SERVER_ERROR else protocol.UNREACHABLE
        raise RequestFailed(kind, f"cannot invoke the egress function: {name}: {message}")
    result: dict[str, Any] = json.loads(response.body)
    if "x-amz-function-error" in response.headers:
        details = f"{result.get('errorType', '')} {result.get('errorMessage', '')}"
        raise RequestFailed(protocol.BROKEN, f"the egress function failed: {details.strip()}")
    return result


def _as_socket_error(kind: str, message: str) -> OSError:
    if kind in {protocol.CONNECT_TIMEOUT, protocol.READ_TIMEOUT}:
        return TimeoutError(message)
    if kind == protocol.NAME:
        return socket.gaierror(socket.EAI_NONAME, message)
    if kind == protocol.TLS:
        is_certificate = "CERTIFICATE_VERIFY_FAILED" in message
        return (ssl.SSLCertVerificationError if is_certificate else ssl.SSLError)(1, message)
    return OSError(ERRNO.get(kind, errno.EIO), message)
