"""Tasks that SQS delivers, and tasks for later."""

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from djambda.awslambda import lambda_handler
from djambda.tasks import queue as queue_module
from djambda.tasks import sending, store
from tests.unit.djambda.conftest import TASKS_ALIAS
from tests.unit.djambda.tasks.conftest import Context, Lambda
from tests.unit.djambda.tasks.functions import calls

QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/dev-mysite-tasks"
NOTHING_FAILED: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture
def queue(tasks: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the tasks of a deployment with the queue."""
    monkeypatch.setenv("DJAMBDA_TASKS", "queue")
    monkeypatch.setenv("DJAMBDA_TASKS_QUEUE", QUEUE)
    monkeypatch.setenv("DJAMBDA_TASKS_DEAD_LETTERS", f"{QUEUE}-dead")
    monkeypatch.setattr(queue_module, "_checked_at", 0.0)
    return tasks


def messages(service: Lambda) -> list[str]:
    return [call["MessageBody"] for name, call in service.aws.sqs_calls if name == "SendMessage"]


def pauses(service: Lambda) -> list[int]:
    """Return the visibility timeouts that the worker has set."""
    return [
        call["VisibilityTimeout"]
        for name, call in service.aws.sqs_calls
        if name == "ChangeMessageVisibility"
    ]


def deliver(body: str, deliveries: int = 1) -> dict[str, Any]:
    return lambda_handler(
        {
            "Records": [
                {
                    "messageId": "m1",
                    "receiptHandle": "r1",
                    "body": body,
                    "attributes": {"ApproximateReceiveCount": str(deliveries)},
                    "eventSource": "aws:sqs",
                }
            ]
        },
        Context(),
    )


def test_task_is_a_message(queue: Any, service: Lambda) -> None:
    result = queue.echo.enqueue("żółć")

    [body] = messages(service)
    assert service.events == []
    assert deliver(body) == NOTHING_FAILED
    assert calls == [(("żółć",), {})]
    result.refresh()
    assert result.status == "SUCCESSFUL"


def test_failing_task_pauses_and_is_kept(queue: Any, service: Lambda) -> None:
    result = queue.fail.enqueue()
    [body] = messages(service)

    assert deliver(body, 1) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert deliver(body, 2) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert deliver(body, 3) == NOTHING_FAILED

    assert pauses(service) == [930, 60, 930, 120, 930]
    assert service.record(result.id)["attempts"] == 3
    assert service.record(result.id)["status"] == "FAILED"
    assert service.is_marked(result.id)


def test_task_whose_workers_are_killed_is_kept(
    queue: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(_attempt: object) -> None:
        raise Killed

    result = queue.echo.enqueue(1)
    [body] = messages(service)
    with monkeypatch.context() as patch:
        patch.setattr("djambda.tasks.worker.Attempt.run", kill)
        for number in (1, 2, 3):
            with pytest.raises(Killed):
                deliver(body, number)

    assert deliver(body, 4) == NOTHING_FAILED
    record = service.record(result.id)
    assert record["status"] == "FAILED"
    assert record["attempts"] == 3
    assert record["errors"][0]["exception_class"] == "WorkerKilled"
    assert service.is_marked(result.id)
    assert calls == []


def test_message_that_is_no_task_is_deleted(queue: Any) -> None:
    assert deliver("hello") == NOTHING_FAILED
    assert deliver('{"task": {}}') == NOTHING_FAILED


def test_unreadable_record_is_tried_later(
    queue: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.echo.enqueue(1)
    [body] = messages(service)

    def refuse(_task_id: str) -> None:
        raise store.StoreError("down")

    monkeypatch.setattr(store, "load", refuse)

    assert deliver(body)["batchItemFailures"]


def test_unexpected_error_deletes_no_message(
    queue: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.echo.enqueue(1)
    [body] = messages(service)

    def fail(_path: str) -> None:
        raise ValueError("in the module with the task")

    monkeypatch.setattr("djambda.tasks.backend.import_string", fail)

    assert deliver(body, 1)["batchItemFailures"]
    assert deliver(body, 2)["batchItemFailures"]
    assert deliver(body, 3) == NOTHING_FAILED
    [key] = [key for key in service.aws.objects if key.startswith("tasks/failed/")]
    error = service.record(key.rpartition("/")[2])["errors"][-1]
    assert "in the module with the task" in error["traceback"]


def test_dead_letters_are_recorded(queue: Any, service: Lambda) -> None:
    dead = {"id": "dead1", "task": "polls.tasks.count", "args": [1]}
    service.aws.dead_letters = [
        {"MessageId": "m0", "ReceiptHandle": "r0", "Body": json.dumps({"task": dead})}
    ]
    queue.echo.enqueue(1)

    deliver(messages(service)[0])

    assert service.record("dead1")["status"] == "FAILED"
    assert service.is_marked("dead1")
    assert "LAMBDA_CONCURRENCY" in service.record("dead1")["errors"][0]["traceback"]
    assert ("DeleteMessage", {"QueueUrl": f"{QUEUE}-dead", "ReceiptHandle": "r0"}) in (
        service.aws.sqs_calls
    )


def test_dead_letter_is_listed_although_the_bucket_failed(
    queue: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = {"task": {"id": "dead1", "task": "polls.tasks.count"}}
    service.aws.dead_letters = [
        {"MessageId": "m0", "ReceiptHandle": "r0", "Body": json.dumps(letter)}
    ]
    queue.echo.enqueue(1)

    def unreachable_bucket(*_: object, **__: object) -> None:
        raise store.StoreError

    with monkeypatch.context() as patch:
        patch.setattr(store, "mark_failed", unreachable_bucket)
        deliver(messages(service)[0])
    monkeypatch.setattr(queue_module, "_checked_at", 0.0)
    deliver(messages(service)[0])

    assert service.record("dead1")["status"] == "FAILED"
    assert service.is_marked("dead1")


def test_task_for_later_is_a_schedule(tasks: Any, service: Lambda) -> None:
    begin = timezone.now() + timedelta(hours=1)

    result = tasks.echo.using(run_after=begin).enqueue(1)

    schedule = service.aws.schedules[result.id]
    at = datetime.fromisoformat(schedule["ScheduleExpression"][3:-1]).replace(tzinfo=UTC)
    assert timedelta() <= at - begin < timedelta(seconds=1)
    assert schedule["GroupName"] == "dev-mysite-tasks"
    assert schedule["Target"]["RoleArn"].endswith("role/sender")
    assert service.events == []
    assert json.loads(schedule["Target"]["Input"])["task"]["id"] == result.id
    assert tasks.echo.get_result(result.id).task.run_after == begin


def test_scheduler_replaces_nothing_in_arguments(tasks: Any, service: Lambda) -> None:
    text = "<aws.scheduler.scheduled-time> & <b>"

    result = tasks.echo.using(run_after=timezone.now() + timedelta(hours=1)).enqueue(text)

    target = service.aws.schedules[result.id]["Target"]["Input"]
    assert "<aws.scheduler." not in target
    assert json.loads(target)["task"]["args"] == [text]


@pytest.mark.parametrize("backend_name", ["direct", "queue"])
def test_schedule_invokes_the_alias_with_both_backends(
    queue: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch, backend_name: str
) -> None:
    monkeypatch.setenv("DJAMBDA_TASKS", backend_name)

    result = queue.echo.using(run_after=timezone.now() + timedelta(hours=1)).enqueue(1)

    assert service.aws.schedules[result.id]["Target"]["Arn"] == TASKS_ALIAS
    assert messages(service) == []


def test_schedule_that_exists_is_a_success(tasks: Any, service: Lambda) -> None:
    service.aws.scheduler_errors = [(409, "ConflictException")]

    tasks.echo.using(run_after=timezone.now() + timedelta(hours=1)).enqueue(1)


def test_scheduler_is_asked_again_if_it_is_busy(tasks: Any, service: Lambda) -> None:
    service.aws.scheduler_errors = [(429, "ThrottlingException")]

    tasks.echo.using(run_after=timezone.now() + timedelta(hours=1)).enqueue(1)

    assert len(service.aws.schedules) == 1


@pytest.mark.parametrize(("days", "refused"), [(28, False), (40, True)])
def test_large_task_is_refused_if_its_record_would_be_deleted(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch, days: int, refused: bool
) -> None:
    monkeypatch.setattr(sending, "MAX_LATER", 1000)
    later = tasks.echo.using(run_after=timezone.now() + timedelta(days=days))

    later.enqueue("small")
    with pytest.raises(ValueError, match="29 days") if refused else nullcontext():
        later.enqueue("x" * 2000)

    assert len(service.aws.schedules) == (1 if refused else 2)


def test_task_whose_time_has_come_is_sent_at_once(tasks: Any, service: Lambda) -> None:
    tasks.echo.using(run_after=timezone.now() - timedelta(days=1)).enqueue(1)

    assert len(service.events) == 1
    service.run()
    assert calls == [((1,), {})]


def test_large_task_for_later_goes_through_the_bucket(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MAX_LATER", 1000)

    result = tasks.echo.using(run_after=timezone.now() + timedelta(hours=1)).enqueue("x" * 2000)

    schedule = service.aws.schedules[result.id]
    assert json.loads(schedule["Target"]["Input"]) == {"task": {"load": result.id}}


def test_naive_time_is_refused(tasks: Any) -> None:
    with pytest.raises(Exception, match="aware datetime"):
        tasks.echo.using(run_after=datetime(2030, 1, 1))  # noqa: DTZ001
