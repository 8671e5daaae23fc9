"""Send tasks when the transaction that enqueues them commits, and lose none afterwards.

Inside a transaction, a task becomes a row of the outbox, so that it exists if and only if the
transaction commits. After the commit it is sent, and the row is deleted. If the process ends in
between, later work sends the task. Outside transactions, tasks are sent at once, without the
database, which may be asleep.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections, router, transaction
from django.utils import timezone

from djambda.tasks import store
from djambda.tasks.models import OutgoingTask
from djambda.tasks.sending import TaskNotSent, send_task
from djambda_common.task_record import Record

logger = logging.getLogger(__name__)

LEFT_SECONDS = 60
"""The age of a row whose process cannot be about to send it any more."""

CHECK_SECONDS = 60
BATCH = 20

_with_table: set[str] = set()
"""The databases that have the outbox."""

_checked_at = 0.0

held = False
"""Whether tasks only become rows of the outbox, see `hold`."""


def deliver(record: Record) -> None:
    """Send a task, or let the open transaction send it. Raises `TaskNotSent`."""
    if held:
        _add(record, _open_transaction() or DEFAULT_DB_ALIAS)
        return
    using = _open_transaction()
    if using is None:
        _send_or_discard(record)
        return
    if not _has_table(using):
        transaction.on_commit(partial(_send_or_discard, record), using=using)
        return
    _add(record, using)
    if connections[using].in_atomic_block:
        transaction.on_commit(partial(_send_committed, record, using), using=using, robust=True)


@contextlib.contextmanager
def hold(context: Any) -> Iterator[None]:
    """Leave the tasks of a management command in the outbox if it runs during a release.

    The release invokes a version by its number. That version is not live yet, and the live one may
    not have the functions of the tasks.
    """
    global held  # noqa: PLW0603 (a process serves one event at a time)
    held = context.invoked_function_arn.rpartition(":")[2].isdigit()
    try:
        yield
    finally:
        held = False


def create_table(using: str) -> None:
    """Create the outbox in a database, if it does not exist."""
    connection = connections[using]
    if _allowed(using) and not _has_table(using):
        with connection.schema_editor() as editor:
            editor.create_model(OutgoingTask)


def send_left_tasks(**_: Any) -> None:
    """Send the tasks that a process has committed, but not sent.

    Only databases are asked that are awake, because this process has a connection.
    """
    global _checked_at  # noqa: PLW0603 (the time of this process's last check)
    now = time.time()
    if 0 <= now - _checked_at < CHECK_SECONDS:
        return
    for connection in connections.all(initialized_only=True):
        if connection.connection is None or connection.in_atomic_block:
            continue
        _checked_at = now
        try:
            if _has_table(connection.alias):
                _send_batch(connection.alias)
        except (Error, TaskNotSent):
            logger.exception("Tasks remain in the outbox; later work sends them")


def _add(record: Record, using: str) -> None:
    OutgoingTask.objects.using(using).create(id=record["id"], record=record)


def _open_transaction() -> str | None:
    """Return the database whose transaction is open, the default one if several are."""
    aliases = [
        connection.alias
        for connection in connections.all(initialized_only=True)
        if connection.in_atomic_block or (connection.connection and not connection.autocommit)
    ]
    return DEFAULT_DB_ALIAS if DEFAULT_DB_ALIAS in aliases else next(iter(aliases), None)


def _send_or_discard(record: Record) -> None:
    """Send a task of which nothing remains if AWS does not accept it. Raises `TaskNotSent`."""
    try:
        send_task(record)
    except TaskNotSent:
        store.discard(record["id"])
        raise


def _send_committed(record: Record, using: str) -> None:
    try:
        send_task(record)
    except TaskNotSent:
        logger.exception(
            "Task %s (%s) remains in the outbox; later work sends it", record["id"], record["task"]
        )
        return
    OutgoingTask.objects.using(using).filter(id=record["id"]).delete()
    send_left_tasks()


def _send_batch(using: str) -> None:
    left = timezone.now() - timedelta(seconds=LEFT_SECONDS)
    with transaction.atomic(using=using):
        rows = OutgoingTask.objects.using(using).filter(created_at__lt=left).order_by("created_at")
        if connections[using].features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        for row in rows[:BATCH]:
            send_task(row.record)
            row.delete(using=using)


def _has_table(using: str) -> bool:
    if using not in _with_table:
        connection = connections[using]
        if OutgoingTask._meta.db_table in connection.introspection.table_names():
            _with_table.add(using)
    return using in _with_table


def _allowed(using: str) -> bool:
    """Return whether the project's database routers allow the table."""
    return router.allow_migrate_model(using, OutgoingTask)
