"""The records of tasks whose workers were killed."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

import failed_tasks
from djambda_common.task_record import new_record

TASK = {"id": "abc", "task": "polls.tasks.count", "args": [1], "kwargs": {}}


class FakeS3:
    """A bucket."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self.objects = {f"tasks/{record['id']}.json": json.dumps(record) for record in records}
        self.refused: list[str] = []

    def get_object(self, *, Key: str, **_: str) -> dict[str, Any]:  # noqa: N803 (as boto3)
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key].encode())}

    def put_object(self, *, Key: str, Body: bytes, **_: str) -> None:  # noqa: N803 (as boto3)
        if Key in self.refused:
            self.refused.remove(Key)
            raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")
        self.objects[Key] = Body.decode()

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.objects["tasks/abc.json"])
        return record


KILLED = {
    "errorType": "Runtime.OutOfMemory",
    "errorMessage": "RequestId: 1 Error: Runtime exited",
}


def send(
    monkeypatch: pytest.MonkeyPatch,
    s3: FakeS3,
    payload: object,
    response: object = KILLED,
    **context: object,
) -> None:
    """Send the record of an invocation, as Lambda does; `payload` is its event."""
    monkeypatch.setattr("boto3.client", lambda _service: s3)
    monkeypatch.setenv("BUCKET", "bucket")
    failed_tasks.lambda_handler(
        {
            "timestamp": "2026-11-26T02:00:00.000Z",
            "requestContext": {
                "requestId": "11111111-2222",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
                **context,
            },
            **({} if payload is None else {"requestPayload": payload}),
            "responsePayload": response,
        },
        None,
    )


def handle(
    monkeypatch: pytest.MonkeyPatch, s3: FakeS3, task: object, **context: object
) -> dict[str, Any]:
    send(monkeypatch, s3, {"task": task}, **context)
    return s3.record


def test_killed_task_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = FakeS3(new_record("abc", TASK))

    record = handle(monkeypatch, s3, TASK)

    assert record["status"] == "FAILED"
    assert record["attempts"] == 3
    assert record["args"] == [1]
    assert record["finished_at"] == "2026-11-26T02:00:00.000Z"
    assert record["errors"][0]["exception_class"] == "Runtime.OutOfMemory"
    assert s3.objects["tasks/failed/abc"] == ""


def test_task_without_a_record_gets_one_from_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    record = handle(monkeypatch, FakeS3(), TASK)

    assert record["task"] == "polls.tasks.count"
    assert record["status"] == "FAILED"


def test_errors_of_other_attempts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"exception_class": "ValueError", "traceback": "t", "at": None, "request_id": "r"}
    stored = new_record("abc", TASK | {"errors": [before], "attempts": 1, "worker_ids": ["r"]})

    record = handle(monkeypatch, FakeS3(stored), TASK)

    assert [error["exception_class"] for error in record["errors"]] == [
        "ValueError",
        "Runtime.OutOfMemory",
    ]
    assert record["attempts"] == 3


@pytest.mark.parametrize("status", ["FAILED", "SUCCESSFUL"])
def test_finished_task_is_not_changed(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    stored = new_record("abc", TASK | {"status": status})
    s3 = FakeS3(stored)

    assert handle(monkeypatch, s3, TASK) == stored
    assert "tasks/failed/abc" not in s3.objects


def test_task_that_did_not_start_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    record = handle(monkeypatch, FakeS3(), TASK, condition="EventAgeExceeded")

    assert record["errors"][0]["exception_class"] == "EventAgeExceeded"
    assert "LAMBDA_CONCURRENCY" in record["errors"][0]["traceback"]


def test_exception_of_the_last_attempt_is_not_recorded_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed workers leave no trace in the record, so the runtime expects another attempt."""
    error = {"exception_class": "ValueError", "traceback": "t", "at": "now", "request_id": "r"}
    s3 = FakeS3(new_record("abc", TASK | {"attempts": 1, "worker_ids": ["r"], "errors": [error]}))
    response = {"errorType": "TaskAttemptFailed", "errorMessage": "Lambda retries it."}

    send(monkeypatch, s3, {"task": TASK}, response)

    assert s3.record["errors"] == [error]
    assert (s3.record["status"], s3.record["attempts"]) == ("FAILED", 3)
    assert s3.record["finished_at"] == "now"


def retry(monkeypatch: pytest.MonkeyPatch, s3: FakeS3) -> dict[str, Any]:
    send(monkeypatch, s3, {"task": {"retry": "abc"}})
    return s3.record


FAILED_BEFORE = {
    "status": "FAILED",
    "attempts": 3,
    "worker_ids": ["a", "b", "c"],
    "errors": [{"exception_class": "ValueError", "traceback": "t", "at": None, "request_id": "c"}],
}


@pytest.mark.parametrize(
    ("stored", "attempts"),
    [
        (FAILED_BEFORE, 6),  # Django did not start.
        (FAILED_BEFORE | {"status": "READY", "limit": 6}, 6),
        (
            FAILED_BEFORE
            | {"status": "READY", "limit": 6, "attempts": 4, "worker_ids": ["a", "b", "c", "d"]},
            6,
        ),
    ],
)
def test_attempts_of_a_retry_are_added(
    monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any], attempts: int
) -> None:
    s3 = FakeS3(new_record("abc", TASK | stored))

    record = retry(monkeypatch, s3)

    assert (record["status"], record["attempts"]) == ("FAILED", attempts)
    assert len(record["worker_ids"]) == attempts
    assert len(record["errors"]) == 2


def test_failure_of_a_retry_is_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda may send the record twice."""
    s3 = FakeS3(new_record("abc", TASK | FAILED_BEFORE))

    first = retry(monkeypatch, s3)

    assert retry(monkeypatch, s3) == first


def test_success_of_a_retry_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = new_record("abc", TASK | FAILED_BEFORE | {"status": "SUCCESSFUL"})
    s3 = FakeS3(stored)

    assert retry(monkeypatch, s3) == stored
    assert "tasks/failed/abc" not in s3.objects


@pytest.mark.parametrize("key", ["tasks/abc.json", "tasks/failed/abc"])
def test_failure_that_could_not_be_stored_is_stored_by_the_next_attempt(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    s3 = FakeS3(new_record("abc", TASK))
    s3.refused = [key]
    with pytest.raises(ClientError):
        handle(monkeypatch, s3, TASK)

    record = handle(monkeypatch, s3, TASK)

    assert record["status"] == "FAILED"
    assert record["attempts"] == 3
    assert "tasks/failed/abc" in s3.objects


@pytest.mark.parametrize("payload", [None, {}, [], "text", {"task": None}, {"task": "a.b"}])
def test_other_events_are_only_logged(
    monkeypatch: pytest.MonkeyPatch, payload: object, caplog: pytest.LogCaptureFixture
) -> None:
    s3 = FakeS3()

    send(monkeypatch, s3, payload)

    assert s3.objects == {}
    assert "11111111-2222" in caplog.text


def test_log_names_the_request_of_the_task(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handle(monkeypatch, FakeS3(), TASK)

    assert [vars(line)["invocationId"] for line in caplog.records] == ["11111111-2222"]
