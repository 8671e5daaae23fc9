"""Store the records of tasks in the assets bucket, without boto3, whose import takes a while."""

import hashlib
import json
import time
from contextlib import suppress
from http import HTTPStatus

from djambda.bucket import bucket_url
from djambda_common.aws_api import NotSent, OutcomeUnknown, Sent, send
from djambda_common.aws_signature import Request
from djambda_common.http_connection import Response
from djambda_common.task_record import Record, failed_key, record_key

TIMEOUT = 5.0
PAUSES = (0.2, 1.0)


class StoreError(Exception):
    """The bucket did not accept or return a record."""


def load(task_id: str) -> Record | None:
    """Return a task's record, or None if there is none. Raises `StoreError`."""
    response = _request("GET", record_key(task_id))
    if response.status == HTTPStatus.NOT_FOUND:
        return None
    record: Record = json.loads(_checked(response, task_id).body)
    return record


def save(record: Record) -> None:
    """Write a task's record. Raises `StoreError`."""
    task_id = record["id"]
    _checked(_request("PUT", record_key(task_id), encode(record)), task_id)


def mark_failed(task_id: str, *, failed: bool) -> None:
    """Create or delete the marker of a task that has failed. Raises `StoreError`."""
    _checked(_request("PUT" if failed else "DELETE", failed_key(task_id)), task_id)


def discard(task_id: str) -> None:
    """Delete the record of a task that was not sent, if S3 responds."""
    with suppress(NotSent, OutcomeUnknown):
        _send("DELETE", record_key(task_id), b"", {}).response()


def begin_to_create(record: Record) -> Sent:
    """Begin to write the record of a new task, which the worker may have written before.

    The response's status can be 412 (Precondition Failed). Raises `NotSent`.
    """
    return _send("PUT", record_key(record["id"]), encode(record), {"If-None-Match": "*"})


def create(record: Record) -> None:
    """Write the record of a new task. Raises `StoreError`."""
    response = _request("PUT", record_key(record["id"]), encode(record), {"If-None-Match": "*"})
    if response.status != HTTPStatus.PRECONDITION_FAILED:
        _checked(response, record["id"])


def encode(record: Record) -> bytes:
    """Return a record as JSON. Raises `TypeError` or `ValueError` if it cannot be represented."""
    return json.dumps(record, allow_nan=False).encode()


def _request(
    method: str, key: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Response:
    """Send a request, again if S3 is busy: all of them can be repeated."""
    for pause in (*PAUSES, None):
        try:
            response = _send(method, key, body, headers or {}).response()
        except (NotSent, OutcomeUnknown) as error:
            if pause is None:
                raise StoreError(f"{method} {key}: {error}") from error
        else:
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR or pause is None:
                return response
        time.sleep(pause)
    raise AssertionError("unreachable")


def _send(method: str, key: str, body: bytes, headers: dict[str, str]) -> Sent:
    scheme, _, rest = f"{bucket_url()}/{key}".partition("://")
    host, _, path = rest.partition("/")
    headers = {
        **headers,
        # https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        **({"Content-Type": "application/json"} if body else {}),
    }
    request = Request(method, f"/{path}", headers, body)
    return send("s3", request, timeout=TIMEOUT, endpoint=f"{scheme}://{host}")


def _checked(response: Response, task_id: str) -> Response:
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise StoreError(
            f"The assets bucket refused the record of task {task_id}: HTTP {response.status}"
        )
    return response
