"""Answers CloudFormation for the functions that are custom resources: always, and in time.

A custom resource that keeps silent leaves its stack hanging for an hour. So whatever a handler
does (return, raise, run out of time), `respond` puts an answer to the presigned URL of the
event. That URL and the data in the answer are secrets: neither is ever logged.
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
from retry import retrying

MAX_BODY = 4096
"""Bytes that CloudFormation takes for an answer, see `respond`."""

MAX_HEAD = 300
"""Characters kept of a long reason's first line."""

TIMEOUT = 3.0
PAUSES = (0.5, 1.0)
MARGIN = 12.0
"""Seconds kept back for answering: three tries of `TIMEOUT` and the `PAUSES` between them."""

FAILURES = (OSError, http.client.HTTPException)

CREATE_FAILED = "djambda:create-failed"
"""The id of what was never made. CloudFormation asks to delete that, too."""

log = logging.getLogger("djambda")
log.setLevel(logging.INFO)


class ResourceFailedError(Exception):
    """Its message is the reason that CloudFormation shows: what failed, and what to do."""


class NotAnsweredError(Exception):
    """CloudFormation could not be told, and goes on waiting."""


@dataclass(frozen=True, slots=True)
class Request:
    """What CloudFormation wants: `kind` is "Create", "Update" or "Delete".

    `previous` has the properties before an update; when CloudFormation undoes a failed one, those
    of the update that failed.
    """

    kind: str
    properties: Mapping[str, str]
    previous: Mapping[str, str]
    deadline: float

    @property
    def seconds_left(self) -> float:
        """How long the handler may still take."""
        return self.deadline - time.monotonic()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler made. With `no_echo`, CloudFormation shows `data` to nobody."""

    physical_id: str
    data: Mapping[str, str] = field(default_factory=dict)
    no_echo: bool = False


def respond(
    event: CustomResourceEvent, context: Context, handle: Callable[[Request], Answer]
) -> None:
    """Let `handle` do what CloudFormation asks for, and answer with what came of it.

    The function's time limit has to be `MARGIN` longer than `handle` needs. Protocol:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html

    Raises `NotAnsweredError`.
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
    reply = _Reply(event)
    watchdog = threading.Timer(seconds, reply.out_of_time)
    watchdog.daemon = True
    watchdog.start()
    try:
        answer = Answer(CREATE_FAILED) if _was_never_made(event) else handle(request)
    except ResourceFailedError as error:
        reply.failure(str(error))
    except Exception as error:
        log.exception("the handler failed")
        reply.failure(f"{type(error).__name__}: {error}")
    else:
        reply.success(answer)
    finally:
        watchdog.cancel()


def _was_never_made(event: CustomResourceEvent) -> bool:
    return event["RequestType"] == "Delete" and event["PhysicalResourceId"] == CREATE_FAILED


class _Reply:
    """The one answer to an event. Handler or clock: the first to give it wins."""

    def __init__(self, event: CustomResourceEvent) -> None:
        self._event = event
        self._lock = threading.Lock()
        self._given = False

    def success(self, answer: Answer) -> None:
        self._give(
            {
                "Status": "SUCCESS",
                "PhysicalResourceId": answer.physical_id,
                "NoEcho": answer.no_echo,
                "Data": dict(answer.data),
            }
        )

    def failure(self, reason: str) -> None:
        log.error(reason)
        self._give(
            {
                "Status": "FAILED",
                "PhysicalResourceId": self._event.get("PhysicalResourceId", CREATE_FAILED),
                "Reason": reason,
            }
        )

    def out_of_time(self) -> None:
        self.failure(
            "The function ran out of time, so it is not known how far it came. "
            "Look at its log, then deploy again."
        )

    def _give(self, answer: dict[str, object]) -> None:
        for name in ("StackId", "RequestId", "LogicalResourceId"):
            answer[name] = self._event.get(name)
        body = _encoded(answer)
        with self._lock:
            if self._given:
                return
            try:
                retrying(lambda: _put(self._event["ResponseURL"], body), on=FAILURES, pauses=PAUSES)
            except FAILURES as error:
                raise NotAnsweredError(
                    f"CloudFormation cannot be answered: {type(error).__name__}: {error}"
                ) from None
            self._given = True


def _put(url: str, body: bytes) -> None:
    """PUT to the presigned URL. It is signed for no content type, so none is sent."""
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


def _encoded(answer: Mapping[str, object]) -> bytes:
    """The answer as JSON, its reason cut to what CloudFormation takes."""
    body = _json(answer)
    if len(body) <= MAX_BODY or "Reason" not in answer:
        return body
    room = MAX_BODY - len(_json({**answer, "Reason": ""}))
    return _json({**answer, "Reason": _shortened(str(answer["Reason"]), room)})


def _shortened(text: str, room: int) -> str:
    """The first line, which says what failed, and as much of the end as fits, which says why.

    `room` is the bytes it may take as JSON.
    """
    head, _, tail = text.partition("\n")
    if len(head) > MAX_HEAD:
        head, tail = text[:MAX_HEAD], text[MAX_HEAD:]
    while len(_json(short := f"{head}{OMISSION}{tail}")) > room and tail:
        tail = tail[len(tail) // 16 + 1 :]
    return short


def _json(value: object) -> bytes:
    # Half a surrogate pair has no UTF-8; as a JSON escape it may stay.
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
