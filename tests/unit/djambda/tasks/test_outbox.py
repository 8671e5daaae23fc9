"""Tasks that are enqueued in transactions."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.core.signals import request_finished
from django.db import connection, transaction
from django.test import TestCase
from django.utils import timezone

from djambda.awslambda import lambda_handler
from djambda.tasks import outbox
from djambda.tasks.models import OutgoingTask
from tests.support.lambda_events import CONTEXT
from tests.unit.djambda.tasks.conftest import Lambda

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def table(tasks: Any) -> None:
    outbox.create_table("default")
    OutgoingTask.objects.all().delete()


def left() -> list[str]:
    """Return the arguments of the tasks in the outbox, the oldest first."""
    rows = OutgoingTask.objects.order_by("created_at")
    return [str(json.loads(row.record["args"])[0]) for row in rows]


def leave(tasks: Any, *arguments: Any) -> None:
    """Leave tasks in the outbox, as a process that was killed after the commit a while ago."""
    for argument in arguments:
        with transaction.atomic():
            tasks.echo.enqueue(argument)
            transaction.get_connection().run_on_commit.clear()
        old = timezone.now() - timedelta(seconds=outbox.LEFT_SECONDS + 1)
        OutgoingTask.objects.filter(record__args=json.dumps([argument])).update(created_at=old)


def sent(service: Lambda) -> list[Any]:
    """Return the first argument of each task that was sent."""
    return [event["task"]["args"][0] for event in service.events]


def test_task_is_sent_after_the_commit(tasks: Any, service: Lambda) -> None:
    with transaction.atomic():
        tasks.echo.enqueue(1)
        assert service.events == []
        assert left() == ["1"]

    assert sent(service) == [1]
    assert left() == []


@pytest.mark.parametrize(
    "argument",
    [{"later": 1, "a": 2}, "\0", "\ud800", 1e22, -0.0, 10**30, {"": [None, True, "żółć"]}],
    ids=repr,
)
def test_transaction_does_not_change_the_arguments(
    tasks: Any, service: Lambda, argument: Any
) -> None:
    """PostgreSQL's jsonb would sort the keys, for example, and refuse the character \\0."""
    tasks.echo.enqueue(argument, name=argument)
    with transaction.atomic():
        tasks.echo.enqueue(argument, name=argument)

    outside, inside = (json.dumps(event["task"]["args"]) for event in service.events)
    assert inside == outside
    outside, inside = (json.dumps(event["task"]["kwargs"]) for event in service.events)
    assert inside == outside


def test_rollback_sends_nothing(tasks: Any, service: Lambda) -> None:
    with transaction.atomic():
        tasks.echo.enqueue(1)
        transaction.set_rollback(True)

    assert service.events == []
    assert left() == []


def test_rollback_of_a_savepoint_keeps_the_tasks_outside(tasks: Any, service: Lambda) -> None:
    with transaction.atomic():
        tasks.echo.enqueue(1)
        with transaction.atomic():
            tasks.echo.enqueue(2)
            transaction.set_rollback(True)
        with transaction.atomic():
            tasks.echo.enqueue(3)

    assert sent(service) == [1, 3]
    assert left() == []


def test_order_of_on_commit_functions_is_kept(tasks: Any, service: Lambda) -> None:
    seen: list[list[Any]] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(sent(service)))
        tasks.echo.enqueue(1)
        transaction.on_commit(lambda: seen.append(sent(service)))

    assert seen == [[], [1]]


def test_refused_task_remains_and_does_not_break_the_request(
    tasks: Any, service: Lambda, caplog: pytest.LogCaptureFixture
) -> None:
    service.aws.lambda_errors = [403]

    with transaction.atomic():
        tasks.echo.enqueue(1)
        tasks.echo.enqueue(2)

    assert sent(service) == [2]
    assert left() == ["1"]
    assert "remains in the outbox" in caplog.text


def test_later_work_sends_what_a_killed_process_has_left(tasks: Any, service: Lambda) -> None:
    leave(tasks, 1)
    assert left() == ["1"]

    outbox.send_left_tasks()

    assert sent(service) == [1]
    assert left() == []


def test_rows_that_are_being_sent_are_left_alone(tasks: Any, service: Lambda) -> None:
    with transaction.atomic():
        tasks.echo.enqueue(1)
        transaction.get_connection().run_on_commit.clear()

    outbox.send_left_tasks()

    assert service.events == []
    assert left() == ["1"]


def test_request_that_closes_its_connection_sends_left_tasks(tasks: Any, service: Lambda) -> None:
    """With `CONN_MAX_AGE = 0`, Django closes it before the tasks are sent."""
    leave(tasks, 1)
    connection.close()
    connection.ensure_connection()
    assert connection.settings_dict["CONN_MAX_AGE"] == 0

    request_finished.send(sender=None)

    assert sent(service) == [1]
    assert connection.connection is None


def test_closed_connection_is_used_for_one_check_only(
    tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    connection.ensure_connection()
    request_finished.send(sender=None)
    monkeypatch.setattr(outbox, "_checked_at", 0.0)
    monkeypatch.setattr(outbox, "_send_batch", pytest.fail)

    request_finished.send(sender=None)

    assert connection.connection is None


def test_refused_task_does_not_hold_up_the_others(tasks: Any, service: Lambda) -> None:
    leave(tasks, 1, 2, 3)
    service.aws.lambda_errors = [403]

    outbox.send_left_tasks()

    assert sent(service) == [2, 3]
    assert left() == ["1"]
    assert OutgoingTask.objects.get().created_at > timezone.now() - timedelta(seconds=30)


def test_full_batch_lets_the_next_request_send_more(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    leave(tasks, 1, 2, 3)

    outbox.send_left_tasks()
    assert sent(service) == [1, 2]
    outbox.send_left_tasks()

    assert sent(service) == [1, 2, 3]


def test_task_is_not_sent_twice_if_its_transaction_was_long(tasks: Any, service: Lambda) -> None:
    """Another process takes the row for one that was left."""

    def send_as_another_process() -> None:
        OutgoingTask.objects.update(created_at=timezone.now() - timedelta(hours=1))
        outbox.send_left_tasks()

    with transaction.atomic():
        transaction.on_commit(send_as_another_process)
        tasks.echo.enqueue(1)

    assert sent(service) == [1]


def test_row_that_another_process_sends_is_skipped(tasks: Any, service: Lambda) -> None:
    leave(tasks, 1, 2)
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("DELETE FROM djambda_tasks_outgoingtask WHERE record->>'args' = '[1]'")
        outbox.send_left_tasks()
        other.rollback()
    finally:
        other.close()

    assert sent(service) == [2]
    assert left() == ["1"]


def test_sleeping_database_is_not_asked_for_left_tasks(tasks: Any) -> None:
    connection.close()

    outbox.send_left_tasks()

    assert connection.connection is None


def test_outside_transactions_the_outbox_is_not_used(tasks: Any, service: Lambda) -> None:
    connection.close()

    tasks.echo.enqueue(1)

    assert sent(service) == [1]
    assert connection.connection is None


def test_during_a_release_tasks_wait_in_the_outbox(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJAMBDA_TASKS", "direct")
    code = (
        f"from {tasks.__name__} import echo\nfrom django.db import transaction\n"
        "echo.enqueue(1)\nwith transaction.atomic(): echo.enqueue(2)"
    )
    for qualifier in ("8", "live"):
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "8")
        context = SimpleNamespace(**vars(CONTEXT))
        context.invoked_function_arn = f"arn:aws:lambda:eu-west-1:1:function:f:{qualifier}"
        lambda_handler({"manage": ["shell", "--no-imports", "-c", code]}, context)
        if qualifier == "8":
            assert service.events == []
            assert left() == ["1", "2"]

    assert sent(service) == [1, 2]


@pytest.mark.parametrize(("version", "expected"), [("9", [2]), ("10", [1, 2]), ("11", [1, 2])])
def test_tasks_of_a_release_wait_for_its_version(
    tasks: Any,
    service: Lambda,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    expected: list[int],
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", version)
    monkeypatch.setattr(outbox, "BATCH", 2)
    with outbox.hold(
        SimpleNamespace(invoked_function_arn="arn:aws:lambda:eu-west-1:1:function:f:10")
    ):
        tasks.echo.enqueue(1)
        tasks.echo.enqueue(1)
    leave(tasks, 2)
    OutgoingTask.objects.update(created_at=timezone.now() - timedelta(hours=1))

    outbox.send_left_tasks()
    outbox.send_left_tasks()

    assert sorted(set(sent(service))) == expected
    assert left() == ([] if 1 in expected else ["1", "1"])


def test_release_of_a_database_without_the_table_sends_tasks(
    tasks: Any, service: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A router of the project may not allow the table."""
    monkeypatch.setattr(outbox, "_has_table", lambda _using: False)

    with outbox.hold(
        SimpleNamespace(invoked_function_arn="arn:aws:lambda:eu-west-1:1:function:f:10")
    ):
        tasks.echo.enqueue(1)

    assert sent(service) == [1]


def test_without_the_table_the_commit_sends_the_task(tasks: Any, service: Lambda) -> None:
    with connection.schema_editor() as editor:
        editor.delete_model(OutgoingTask)
    outbox._with_table.clear()

    with transaction.atomic():
        tasks.echo.enqueue(1)
        assert service.events == []

    assert sent(service) == [1]
    outbox.create_table("default")


def test_manual_transaction_leaves_the_task_in_the_outbox(tasks: Any, service: Lambda) -> None:
    transaction.set_autocommit(False)
    try:
        tasks.echo.enqueue(1)
        transaction.commit()
    finally:
        transaction.set_autocommit(True)

    assert service.events == []
    assert left() == ["1"]


def test_test_case_sends_with_captured_callbacks(tasks: Any, service: Lambda) -> None:
    """As in Django's `TestCase`, whose transaction is never committed."""
    with transaction.atomic():
        with TestCase.captureOnCommitCallbacks(execute=True):
            tasks.echo.enqueue(1)
        assert sent(service) == [1]
        transaction.set_rollback(True)


def test_migration_matches_the_model_and_accepts_the_existing_table(tasks: Any) -> None:
    call_command("makemigrations", "djambda_tasks", check=True, dry_run=True, verbosity=0)
    call_command("migrate", "djambda_tasks", verbosity=0)
    call_command("migrate", "djambda_tasks", "zero", verbosity=0)
    outbox._with_table.clear()


@pytest.mark.parametrize(
    ("in_transaction", "expected"),
    [
        ([], None),
        (["other"], "other"),
        (["other", "default"], "default"),
        (["default"], "default"),
    ],
)
def test_database_that_decides(
    monkeypatch: pytest.MonkeyPatch, in_transaction: list[str], expected: str | None
) -> None:
    def all_connections(*, initialized_only: bool) -> list[SimpleNamespace]:
        assert initialized_only
        return [
            SimpleNamespace(alias=alias, in_atomic_block=alias in in_transaction, connection=None)
            for alias in ("other", "default")
        ]

    monkeypatch.setattr(outbox, "connections", SimpleNamespace(all=all_connections))

    assert outbox._open_transaction() == expected
