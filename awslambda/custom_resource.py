"""Run a custom resource's handler and always send CloudFormation a response in time.

Without a response, CloudFormation waits for an hour. So whether a handler returns, raises or runs
out of time, `handle_event` sends a response to the event's presigned URL. That URL and the data in
the response are secrets: neither is ever logged.
"""

import http.client
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from djambda_common.names import OMISSION
from lambda_types import Context, CustomResourceEvent
from retry import call_with_retries

MAX_BODY = 4096
"""Bytes that CloudFormation accepts as a response, see `handle_event`."""

MAX_FIRST_LINE = 300
"""Characters kept of a long reason's first line."""

TIMEOUT = 3.0
PAUSES = (0.5, 1.0)
MARGIN = 12.0
"""Seconds reserved for responding: three tries of `TIMEOUT` and the `PAUSES` between them."""

SEND_ERRORS = (OSError, http.client.HTTPException)

CREATE_FAILED = "djambda:create-failed"
"""The id of a resource that was not created. CloudFormation deletes it as well."""

log = logging.getLogger("djambda")
log.setLevel(logging.INFO)


class ResourceFailedError(Exception):
    """The message is the reason that CloudFormation shows: what failed, and what to do."""


class ResponseNotSentError(Exception):
    """CloudFormation did not get the response and keeps waiting."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of CloudFormation; `kind` is "Create", "Update" or "Delete".

    `previous` has the properties before an update. When CloudFormation rolls back a failed update,
    it has those of the update that failed.
    """

    kind: str
    properties: Mapping[str, str]
    previous: Mapping[str, str]
    deadline: float

    @property
    def seconds_left(self) -> float:
        """The seconds that the handler may still take."""
        return self.deadline - time.monotonic()


@dataclass(frozen=True, slots=True)
class Result:
    """The resource that a handler created. With `no_echo`, CloudFormation masks `data`."""

    physical_id: str
    data: Mapping[str, str] = field(default_factory=dict)
    no_echo: bool = False


def handle_event(
    event: CustomResourceEvent, context: Context, handle: Callable[[Request], Result]
) -> None:
    """Call `handle` with CloudFormation's request and send its result or failure.

    The function's timeout must be `MARGIN` longer than `handle` needs. Protocol:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html

    Raises `ResponseNotSentError`.
    """
    if "ResponseURL" not in event:
        raise ValueError(f"Not an event of a CloudFormation custom resource: keys {sorted(event)}")
    seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN
    request = Request(
        event["RequestType"],
        event["ResourceProperties"],
        event.get("OldResourceProperties", {}),
        deadline=time.monotonic() + seconds,
    )
    response = _Response(event)
    watchdog = threading.Timer(seconds, response.time_out)
    watchdog.daemon = True
    watchdog.start()
    try:
        result = Result(CREATE_FAILED) if _deletes_failed_create(event) else handle(request)
    except ResourceFailedError as error:
        response.fail(str(error))
    except Exception as error:
        log.exception("The handler failed")
        response.fail(f"{type(error).__name__}: {error}")
    else:
        response.succeed(result)
    finally:
        watchdog.cancel()


def _deletes_failed_create(event: CustomResourceEvent) -> bool:
    return event["RequestType"] == "Delete" and event["PhysicalResourceId"] == CREATE_FAILED


class _Response:
    """The only response to an event: the first of handler and watchdog sends it."""

    def __init__(self, event: CustomResourceEvent) -> None:
        self._event = event
        self._lock = threading.Lock()
        self._sent = False

    def succeed(self, result: Result) -> None:
        self._send(
            {
                "Status": "SUCCESS",
                "PhysicalResourceId": result.physical_id,
                "NoEcho": result.no_echo,
                "Data": dict(result.data),
            }
        )

    def fail(self, reason: str) -> None:
        log.error(reason)
        self._send(
            {
                "Status": "FAILED",
                "PhysicalResourceId": self._event.get("PhysicalResourceId", CREATE_FAILED),
                "Reason": reason,
            }
        )

    def time_out(self) -> None:
        self.fail(
            "The function ran out of time and may have done part of its work. "
            "Check its log, then deploy again."
        )

    def _send(self, fields: dict[str, object]) -> None:
        for name in ("StackId", "RequestId", "LogicalResourceId"):
            fields[name] = self._event.get(name)
        body = _encode(fields)
        with self._lock:
            if self._sent:
                return
            try:
                call_with_retries(
                    lambda: _put(self._event["ResponseURL"], body), on=SEND_ERRORS, pauses=PAUSES
                )
            except SEND_ERRORS as error:
                raise ResponseNotSentError(
                    f"CloudFormation did not accept the response: {type(error).__name__}: {error}"
                ) from None
            self._sent = True


def _put(url: str, body: bytes) -> None:
    """PUT to the presigned URL. Its signature covers no content type, so none is sent."""
    parts = urlsplit(url)
    connection = (
        http.client.HTTPSConnection(
            parts.netloc, timeout=TIMEOUT, context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
    )
    try:
        connection.request("PUT", f"{parts.path}?{parts.query}", body)
        status = connection.getresponse().status
    finally:
        connection.close()
    if status >= http.client.BAD_REQUEST:
        raise http.client.HTTPException(f"HTTP {status}")


def _encode(fields: Mapping[str, object]) -> bytes:
    """Return the response as JSON, with a reason short enough for CloudFormation."""
    body = _json(fields)
    if len(body) <= MAX_BODY or "Reason" not in fields:
        return body
    limit = MAX_BODY - len(_json({**fields, "Reason": ""}))
    return _json({**fields, "Reason": _shorten(str(fields["Reason"]), limit)})


def _shorten(text: str, limit: int) -> str:
    """Return the first line, which names the failure, and as much as fits of the end, its cause.

    `limit` is in bytes of JSON.
    """
    head, _, tail = text.partition("\n")
    if len(head) > MAX_FIRST_LINE:
        head, tail = text[:MAX_FIRST_LINE], text[MAX_FIRST_LINE:]
    while len(_json(shortened := f"{head}{OMISSION}{tail}")) > limit and tail:
        tail = tail[len(tail) // 16 + 1 :]
    return shortened


def _json(value: object) -> bytes:
    # A lone surrogate cannot be encoded as UTF-8, but can be escaped in JSON.
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
