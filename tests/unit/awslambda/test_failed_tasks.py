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

    def get_object(self, *, Key: str, **_: str) -> dict[str, Any]:  # noqa: N803 (as boto3)
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key].encode())}

    def put_object(self, *, Key: str, Body: bytes, **_: str) -> None:  # noqa: N803 (as boto3)
        self.objects[Key] = Body.decode()

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.objects["tasks/abc.json"])
        return record


def handle(
    monkeypatch: pytest.MonkeyPatch, s3: FakeS3, task: object, **context: object
) -> dict[str, Any]:
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
            "requestPayload": {"task": task},
            "responsePayload": {
                "errorType": "Runtime.OutOfMemory",
                "errorMessage": "RequestId: 1 Error: Runtime exited",
            },
        },
        None,
    )
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


def test_other_events_are_only_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = FakeS3()

    with pytest.raises(KeyError):
        handle(monkeypatch, s3, None)
