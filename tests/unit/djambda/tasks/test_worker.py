"""Running tasks from events."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.urls import set_script_prefix
from django.utils import timezone, translation
from pytest_django import Settings

from djambda import deadline
from djambda.awslambda import lambda_handler
from djambda.tasks import store, timeout_warning
from djambda.tasks.worker import BadTaskEvent, TaskAttemptFailed, run_task
from tests.support.waiting import wait_until
from tests.unit.djambda.tasks import functions
from tests.unit.djambda.tasks.conftest import FRAMEWORKS, Context, Lambda
from tests.unit.djambda.tasks.functions import SECRET, calls


def test_handler_runs_a_task(tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJAMBDA_TASKS", "direct")
    result = tasks.echo.enqueue(1)

    assert lambda_handler(service.events.pop(), Context()) == {
        "task": result.id,
        "status": "SUCCESSFUL",
    }


def test_failing_task_is_retried_and_then_kept(tasks: Any, service: Lambda) -> None:
    result = tasks.fail.enqueue()

    deliveries = service.run_to_the_end()

    record = service.record(result.id)
    assert deliveries == 3
    assert record["status"] == "FAILED"
    assert record["attempts"] == 3
    assert record["version"] == "7"
    assert record["finished_at"] is not None
    assert [error["exception_class"] for error in record["errors"]] == ["builtins.RuntimeError"] * 3
    assert "boom" in record["errors"][0]["traceback"]
    assert service.is_marked(result.id)
    result.refresh()
    assert result.errors[0].exception_class is RuntimeError


@pytest.mark.skipif(len(FRAMEWORKS) == 1, reason="Django has no tasks of its own")
def test_task_of_the_other_framework(
    tasks: Any, framework: str, settings: Settings, service: Lambda
) -> None:
    """Wagtail has tasks of the package `django-tasks` on each version of Django."""
    [other] = {*FRAMEWORKS} - {framework}
    settings.TASKS = {"default": {"BACKEND": f"djambda.tasks.{other}.Backend"}}
    result = tasks.succeed_later.enqueue()
    assert type(result).__module__ == f"{type(tasks.echo).__module__}"

    assert service.run_to_the_end() == 2
    result.refresh()
    assert result.return_value == 2
    assert result.errors[0].exception_class is RuntimeError


def test_task_that_succeeds_at_last(tasks: Any, service: Lambda) -> None:
    result = tasks.succeed_later.enqueue()

    assert service.run_to_the_end() == 2
    result.refresh()
    assert result.return_value == 2
    assert len(result.errors) == 1
    assert not service.is_marked(result.id)


@pytest.mark.parametrize("name", ["leave", "return_object", "return_nan"])
def test_other_failures(tasks: Any, service: Lambda, name: str) -> None:
    result = getattr(tasks, name).enqueue()

    service.run_to_the_end()

    assert service.record(result.id)["status"] == "FAILED"


@pytest.mark.parametrize("name", ["return_object", "return_nan"])
def test_task_that_has_run_is_not_repeated_for_its_return_value(
    tasks: Any, service: Lambda, name: str
) -> None:
    result = getattr(tasks, name).enqueue()

    assert service.run()["status"] == "FAILED"
    record = service.record(result.id)
    assert "return value is not JSON" in record["errors"][0]["traceback"]
    assert record["finished_at"] is not None
    assert service.is_marked(result.id)


def test_task_that_cannot_be_imported_is_an_error_in_the_log(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_path: str) -> None:
        raise ValueError("in the module with the task")

    result = tasks.echo.enqueue()
    monkeypatch.setattr("djambda.tasks.backend.import_string", fail)

    service.run_to_the_end()

    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [result.id in record.getMessage() for record in errors] == [True]


def test_receiver_that_fails_is_a_failure_of_the_attempt(
    tasks: Any, service: Lambda, backend: Any
) -> None:
    def fail(**_: Any) -> None:
        raise LookupError("in a receiver")

    result = tasks.echo.enqueue()
    backend.signals.task_started.connect(fail)
    try:
        assert service.run_to_the_end() == 3
    finally:
        backend.signals.task_started.disconnect(fail)

    record = service.record(result.id)
    assert (record["status"], record["attempts"]) == ("FAILED", 3)
    assert "in a receiver" in record["errors"][0]["traceback"]


@pytest.mark.parametrize(("early", "waits"), [(5, True), (59, True), (-5, False), (3600, False)])
def test_task_that_is_sent_early_waits(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch, early: int, *, waits: bool
) -> None:
    """Scheduler's times are minutes, and what is due in seconds is sent at once."""
    pauses: list[float] = []
    monkeypatch.setattr("djambda.tasks.worker.time.sleep", pauses.append)
    begin = timezone.now() + timedelta(seconds=early)

    run_task({"task": f"{tasks.__name__}.echo", "run_after": begin.isoformat()}, Context())

    assert [early - 5 < pause <= early for pause in pauses] == [True] * waits
    assert len(calls) == 1


def test_task_does_not_have_the_state_of_an_earlier_request(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_PREFIX", "/prod")
    result = tasks.show_state.enqueue()
    translation.activate("pl")
    timezone.activate("Asia/Tokyo")
    set_script_prefix("/other/")
    try:
        service.run()
    finally:
        set_script_prefix("/")

    assert service.record(result.id)["return_value"] == [
        settings.LANGUAGE_CODE,
        settings.TIME_ZONE,
        "/prod/",
    ]
    assert functions.state()[0] == settings.LANGUAGE_CODE


def test_retry_of_a_failed_task(tasks: Any, service: Lambda) -> None:
    result = tasks.fail.enqueue()
    service.run_to_the_end()
    for event in ({"retry": result.id}, {"retry": result.id}):
        with pytest.raises(TaskAttemptFailed):
            run_task(event, Context())
    assert service.record(result.id)["status"] == "READY"
    assert not service.is_marked(result.id)  # Else it would be retried by --all-failed, too.
    run_task({"retry": result.id}, Context())
    assert service.record(result.id)["attempts"] == 6
    assert service.record(result.id)["status"] == "FAILED"


def test_retry_is_recorded_before_the_task_runs(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(_attempt: object) -> None:
        raise Killed

    result = tasks.fail.enqueue()
    service.run_to_the_end()
    monkeypatch.setattr("djambda.tasks.worker.Attempt.run", kill)

    for _ in range(2):
        with pytest.raises(Killed):
            run_task({"retry": result.id}, Context())

    record = service.record(result.id)
    assert (record["status"], record["limit"], record["finished_at"]) == ("READY", 6, None)
    assert not service.is_marked(result.id)


def test_retry_that_succeeds_removes_the_marker(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = tasks.echo.enqueue(5)
    with monkeypatch.context() as patch:
        patch.setattr("tests.unit.djambda.tasks.functions.echo", lambda *_: 1 / 0)
        service.run_to_the_end()
    assert service.is_marked(result.id)

    run_task({"retry": result.id}, Context())

    assert service.record(result.id)["status"] == "SUCCESSFUL"
    assert service.record(result.id)["return_value"] == 5
    assert not service.is_marked(result.id)


def test_second_delivery_of_a_finished_task_does_nothing(tasks: Any, service: Lambda) -> None:
    tasks.echo.enqueue(1)
    event = service.events[0]

    service.run()
    run_task(event["task"], Context())

    assert len(calls) == 1


def test_task_that_no_longer_exists_is_kept_and_not_retried(tasks: Any, service: Lambda) -> None:
    result = tasks.echo.enqueue(1)
    service.events[0]["task"]["task"] = "shop.tasks.removed"
    service.aws.objects.clear()

    status = service.run()["status"]

    error = service.record(result.id)["errors"][0]
    assert status == "FAILED"
    assert "shop.tasks.removed does not exist" in error["traceback"]
    assert f"djambda tasks retry {result.id}" in error["traceback"]
    assert service.is_marked(result.id)


def test_task_of_a_backend_that_the_project_no_longer_has(
    tasks: Any, service: Lambda, settings: Settings
) -> None:
    tasks.echo.enqueue(1)
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}

    assert service.run()["status"] == "FAILED"


def test_function_that_is_not_a_task(tasks: Any, service: Lambda) -> None:
    outcome = run_task({"task": "tests.unit.djambda.tasks.functions.echo"}, Context())

    assert outcome["status"] == "FAILED"


def test_event_with_only_a_function_has_the_request_as_its_id(tasks: Any, service: Lambda) -> None:
    outcome = run_task({"task": f"{tasks.__name__}.echo"}, Context())

    assert outcome == {"task": "0b5c0d3e6c5e4d3c9b1a1f2e3d4c5b6a", "status": "SUCCESSFUL"}


@pytest.mark.parametrize("event", [None, [], {}, "polls.tasks.count", {"retry": "missing"}])
def test_bad_events(tasks: Any, event: object) -> None:
    with pytest.raises(BadTaskEvent):
        run_task(event, Context())


def test_context(tasks: Any, service: Lambda) -> None:
    result = tasks.attempt.enqueue()

    service.run()
    result.refresh()

    assert result.return_value == 1


def test_task_enqueues_another(tasks: Any, service: Lambda) -> None:
    tasks.enqueue_another.enqueue()

    service.run()
    service.run()

    assert calls == [((2,), {})]


def test_lost_record_of_a_success_does_not_run_the_task_again(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.echo.enqueue(1)

    def refuse(_record: object) -> None:
        raise store.StoreError("full")

    monkeypatch.setattr(store, "save", refuse)

    assert service.run()["status"] == "SUCCESSFUL"


def test_failure_is_listed_although_the_bucket_failed(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = tasks.fail.enqueue().id
    event = service.events.pop()["task"]
    for _ in (1, 2):
        with pytest.raises(TaskAttemptFailed):
            run_task(event, Context())
    with monkeypatch.context() as patch:
        patch.setattr(store, "mark_failed", unreachable_bucket)
        with pytest.raises(store.StoreError):
            run_task(event, Context())

    run_task(event, Context())

    assert service.record(task_id)["status"] == "FAILED"
    assert service.is_marked(task_id)


def unreachable_bucket(*_: object, **__: object) -> None:
    raise store.StoreError


def test_log_has_no_arguments(
    tasks: Any, service: Lambda, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tasks.fail.enqueue(SECRET)

    service.run_to_the_end()

    assert "boom" in caplog.text
    assert SECRET not in caplog.text


def test_no_request_limits_apply(tasks: Any, service: Lambda) -> None:
    tasks.echo.enqueue()

    service.run()

    assert deadline.current.is_command
    assert deadline.current.ends is None


def test_warning_before_the_timeout(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The share is small here, so that the warning comes soon."""
    monkeypatch.setattr(timeout_warning, "WARNING_SHARE", 0.0001)
    monkeypatch.setattr(
        "tests.unit.djambda.tasks.functions.echo", lambda *_: wait_for_warning(caplog)
    )
    tasks.echo.enqueue()

    service.run()

    assert "will be stopped in 900 s" in caplog.text
    assert "wait_for_warning" in caplog.text


def wait_for_warning(caplog: pytest.LogCaptureFixture) -> None:
    wait_until(lambda: "will be stopped" in caplog.text)


def test_signals(tasks: Any, backend: Any, service: Lambda) -> None:
    signals = backend.signals
    received: list[tuple[str, str]] = []

    def started(task_result: Any, **_: Any) -> None:
        received.append(("started", task_result.status))

    def finished(task_result: Any, **_: Any) -> None:
        received.append(("finished", task_result.status))

    signals.task_started.connect(started)
    signals.task_finished.connect(finished)
    try:
        tasks.echo.enqueue()
        service.run()
        tasks.fail.enqueue()
        service.run_to_the_end()
    finally:
        signals.task_started.disconnect(started)
        signals.task_finished.disconnect(finished)

    assert received == [
        ("started", "RUNNING"),
        ("finished", "SUCCESSFUL"),
        *[("started", "RUNNING")] * 3,
        ("finished", "FAILED"),
    ]
