"""Enqueueing tasks outside transactions, and their results.

The assertions about arguments, results and capabilities are those of Django's own tests of its
backends: https://github.com/django/django/tree/main/tests/tasks
"""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

import pytest

from djambda.tasks import sending, store
from djambda.tasks.backend import WorkerLost
from djambda.tasks.sending import TaskNotSent
from tests.unit.djambda.tasks.conftest import Lambda
from tests.unit.djambda.tasks.functions import calls


def test_enqueued_task_is_sent_and_has_a_record(tasks: Any, service: Lambda) -> None:
    result = tasks.echo.enqueue("żółć", number=1)

    [event] = service.events
    assert event["task"]["id"] == result.id
    assert event["task"]["args"] == ["żółć"]
    assert event["task"]["kwargs"] == {"number": 1}
    assert service.record(result.id)["status"] == "READY"
    assert result.status == "READY"
    assert result.enqueued_at is not None
    assert not result.is_finished


def test_request_that_enqueues_a_task_may_be_processed(
    tasks: Any, service: Lambda, unsafe_request: Any
) -> None:
    tasks.echo.enqueue()
    assert unsafe_request.acted


def test_result_before_and_after_the_run(tasks: Any, service: Lambda) -> None:
    result = tasks.echo.enqueue("żółć", number=1)

    assert tasks.echo.get_result(result.id) == result
    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value
    service.run()
    result.refresh()

    assert result.status == "SUCCESSFUL"
    assert result.return_value == "żółć"
    assert result.attempts == 1
    assert result.started_at <= result.finished_at
    assert tasks.echo.get_result(result.id) == result
    assert calls == [(("żółć",), {"number": 1})]


def test_result_of_another_task_does_not_match(tasks: Any) -> None:
    result = tasks.echo.enqueue()

    with pytest.raises(Exception, match="does not match"):
        tasks.fail.get_result(result.id)


@pytest.mark.parametrize("task_id", ["123", "../static/x", "", 123, UUID(int=1), None])
def test_missing_result(tasks: Any, backend: Any, task_id: Any) -> None:
    with pytest.raises(backend.Backend.missing_result):
        tasks.echo.get_result(task_id)


def test_async_task_and_async_functions(tasks: Any, service: Lambda) -> None:
    async def enqueue() -> Any:
        result = await tasks.echo_later.aenqueue(1)
        return await tasks.echo_later.aget_result(result.id)

    result = asyncio.run(enqueue())
    service.run()
    asyncio.run(result.arefresh())

    assert result.return_value == 1


@pytest.mark.parametrize(
    "argument",
    [object(), Decimal(1), datetime(2026, 1, 1, tzinfo=UTC), {1, 2}, float("nan"), b"\xff"],
)
def test_arguments_that_are_not_json(tasks: Any, service: Lambda, argument: object) -> None:
    with pytest.raises((TypeError, ValueError), match="must be JSON"):
        tasks.echo.enqueue(argument)

    assert service.events == []


def test_keys_that_json_would_change_are_refused(tasks: Any, service: Lambda) -> None:
    for argument in ({1: "a"}, [{None: 1}], {"a": {True: 1}}):
        with pytest.raises(TypeError, match=r"keys that are not strings.*must be JSON"):
            tasks.echo.enqueue(argument)

    assert service.events == []


def test_argument_that_contains_itself(tasks: Any, service: Lambda) -> None:
    argument: list[Any] = []
    argument.append(argument)

    with pytest.raises(ValueError, match="must be JSON"):
        tasks.echo.enqueue(argument)


@pytest.mark.parametrize("name", ["Group.echo", "renamed"])
def test_task_that_no_worker_could_import_is_refused(
    tasks: Any, backend: Any, service: Lambda, name: str
) -> None:
    task = attrgetter(name)(tasks)

    with pytest.raises(backend.Backend.invalid_task, match=r"worker.*(Group|_implementation)"):
        task.enqueue()

    assert service.events == []


def test_error_of_lambda_has_a_class(tasks: Any, service: Lambda) -> None:
    """Code of the project may compare the classes of a result's errors."""
    result = tasks.echo.enqueue()
    record = service.record(result.id)
    record["errors"] = [
        {"exception_class": name, "traceback": "", "at": None, "request_id": None}
        for name in ("Runtime.OutOfMemory", "WorkerKilled", "builtins.KeyError")
    ]
    store.save(record)
    result.refresh()

    classes = [error.exception_class for error in result.errors]

    assert classes == [WorkerLost, WorkerLost, KeyError]


def test_capabilities_that_do_not_exist_are_refused(tasks: Any) -> None:
    with pytest.raises(Exception, match="setting priority"):
        tasks.echo.using(priority=1)
    with pytest.raises(Exception, match="not valid"):
        tasks.echo.using(queue_name="other")


def test_sending_is_tried_again(tasks: Any, service: Lambda) -> None:
    service.aws.lambda_errors = [500, 429]

    tasks.echo.enqueue()

    assert len(service.events) == 1


def test_function_that_is_being_changed_is_invoked_again(tasks: Any, service: Lambda) -> None:
    """Lambda's status for a `ResourceConflictException` is that of an existing schedule."""
    service.aws.lambda_errors = [409]

    tasks.echo.enqueue()

    assert len(service.events) == 1


def test_task_that_stays_in_conflict_is_not_sent(tasks: Any, service: Lambda) -> None:
    service.aws.lambda_errors = [409, 409, 409]

    with pytest.raises(TaskNotSent, match="409"):
        tasks.echo.enqueue()


def test_refused_task_is_an_error_that_says_so(tasks: Any, service: Lambda) -> None:
    service.aws.lambda_errors = [403]

    with pytest.raises(TaskNotSent, match="403 not now"):
        tasks.echo.enqueue()

    assert not [key for key in service.aws.objects if key.startswith("tasks/")]


def test_unreachable_api_is_an_error_that_says_so(
    tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(TaskNotSent, match="cannot connect"):
        tasks.echo.enqueue()


def test_large_task_goes_through_the_bucket(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MAX_EVENT", 1000)
    text = "x" * 2000

    result = tasks.echo.enqueue(text)

    assert service.events == [{"task": {"load": result.id}}]
    service.run()
    assert calls == [((text,), {})]


def test_record_of_a_failed_event_has_room_for_the_error(tasks: Any, service: Lambda) -> None:
    """Otherwise Lambda could not send it, and nobody would record the failure."""
    tasks.echo.enqueue("x" * 950_000)

    assert list(service.events[0]["task"]) == ["load"]


def test_enqueued_signal(tasks: Any, backend: Any) -> None:
    received = []

    def receive(sender: Any, task_result: Any, **_: Any) -> None:
        received.append((sender, task_result.id))

    backend.signals.task_enqueued.connect(receive)
    try:
        result = tasks.echo.enqueue()
    finally:
        backend.signals.task_enqueued.disconnect(receive)

    assert received == [(backend.Backend, result.id)]


def test_enqueueing_does_not_touch_the_database(tasks: Any) -> None:
    """Without `django_db`, pytest-django blocks every query."""
    tasks.echo.enqueue()
