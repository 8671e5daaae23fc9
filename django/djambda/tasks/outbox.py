"""Send tasks when the transaction that enqueues them commits, and lose none afterwards.

Inside a transaction, a task becomes a row of the outbox, so that it exists if and only if the
transaction commits. After the commit it is sent and its row deleted, in a transaction that keeps
other processes from sending it. If the process ends before, later work sends the task. Outside
transactions, tasks are sent at once, without the database, which may be asleep.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from djambda.tasks import store
from djambda.tasks.models import OutgoingTask
from djambda.tasks.sending import TaskNotSent, send_task
from djambda_common.task_record import Record

logger = logging.getLogger(__name__)

LEFT_SECONDS = 60
"""The age of a row whose process has probably ended. (It may be in a long transaction.)"""

CHECK_SECONDS = 60
BATCH = 20
BATCH_SECONDS = 10
"""The time after which a batch ends, such as while AWS does not respond."""

ARGUMENTS = ("args", "kwargs")

_with_table: set[str] = set()
"""The databases that have the outbox."""

_checked_at = 0.0

_connected_at: dict[str, float] = {}
"""The time of the last connection to each database, which Django may have closed since."""

held = ""
"""The version in which tasks only become rows of the outbox, if any, see `hold`."""


def deliver(record: Record) -> None:
    """Send a task, or let the open transaction send it. Raises `TaskNotSent`."""
    using = _open_transaction()
    if using is None and held:
        using = DEFAULT_DB_ALIAS
    if using is None:
        _send_or_discard(record)
    elif not _has_table(using):
        transaction.on_commit(partial(_send_or_discard, record), using=using)
    elif held:
        _add({**record, "version": held}, using)
    else:
        _add_and_send(record, using)


def _add_and_send(record: Record, using: str) -> None:
    """Add a task to the outbox, and send it after the commit, unless the project commits itself."""
    _add(record, using)
    if connections[using].in_atomic_block:
        transaction.on_commit(
            partial(_send_committed, record["id"], using), using=using, robust=True
        )


@contextlib.contextmanager
def hold(context: Any) -> Iterator[None]:
    """Leave the tasks of a management command in the outbox if it runs during a release.

    The release invokes a version by its number. That version is not live yet, and the live one may
    not have the functions of the tasks. So the tasks wait for this version, or a later one.
    """
    global held  # noqa: PLW0603 (a process serves one event at a time)
    qualifier = context.invoked_function_arn.rpartition(":")[2]
    held = qualifier if qualifier.isdigit() else ""
    try:
        yield
    finally:
        held = ""


def create_table(using: str) -> None:
    """Create the outbox in a database, if it does not exist."""
    connection = connections[using]
    if _allowed(using) and not _has_table(using):
        with connection.schema_editor() as editor:
            editor.create_model(OutgoingTask)


def remember_connection(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Remember a new connection to a database, which the end of the request may close."""
    _connected_at[connection.alias] = time.time()


def send_left_tasks(**_: Any) -> None:
    """Send the tasks that a process has committed, but not sent.

    Only databases are asked that are awake: this process has a connection, or had one just now.
    """
    global _checked_at  # noqa: PLW0603 (the time of this process's last check)
    now = time.time()
    if 0 <= now - _checked_at < CHECK_SECONDS:
        return
    for connection in connections.all(initialized_only=True):
        is_closed = connection.connection is None
        idle_seconds = now - _connected_at.get(connection.alias, 0)
        if connection.in_atomic_block or (is_closed and idle_seconds > CHECK_SECONDS):
            continue
        _checked_at = now
        try:
            if _has_table(connection.alias) and _send_batch(connection.alias):
                _checked_at = 0.0
        except Error:
            logger.exception("Tasks remain in the outbox; later work sends them")
        if is_closed:
            connection.close_if_unusable_or_obsolete()
            _connected_at.pop(connection.alias, None)  # This must not keep the database awake.


def _add(record: Record, using: str) -> None:
    # The arguments as text: PostgreSQL's jsonb sorts keys, changes numbers, and refuses "\0".
    arguments = {name: json.dumps(record[name]) for name in ARGUMENTS}
    OutgoingTask.objects.using(using).create(id=record["id"], record={**record, **arguments})


def _record_of(row: OutgoingTask) -> Record:
    """Return the record of a row, to send it in the version that is live."""
    arguments = {name: json.loads(row.record[name]) for name in ARGUMENTS}
    return {**row.record, **arguments, "version": None}


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


def _send_committed(task_id: str, using: str) -> None:
    if _send_row(task_id, using):
        send_left_tasks()


def _send_batch(using: str) -> bool:
    """Send the oldest tasks that are left; return True if there may be more."""
    end = time.monotonic() + BATCH_SECONDS
    left = timezone.now() - timedelta(seconds=LEFT_SECONDS)
    rows = OutgoingTask.objects.using(using).filter(created_at__lt=left).order_by("created_at")
    versions = rows.values_list("id", "record__version")
    batch = [task_id for task_id, version in versions if not _is_later(version)][:BATCH]
    for task_id in batch:
        if time.monotonic() > end:
            return False
        _send_row(task_id, using)
    return len(batch) == BATCH


def _is_later(version: object) -> bool:
    """Return whether a version, which holds a task, is one that has been published after this."""
    held_by, own = str(version), os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
    return held_by.isdigit() and own.isdigit() and int(held_by) > int(own)


def _send_row(task_id: str, using: str) -> bool:
    """Send a task and delete its row, unless another process does; return False if it remains.

    Deleting the row first locks it. A refused task is the last to be sent the next time.
    """
    rows = OutgoingTask.objects.using(using).filter(id=task_id)
    free = rows
    if connections[using].features.has_select_for_update_skip_locked:
        free = rows.select_for_update(skip_locked=True)
    try:
        with transaction.atomic(using=using):
            row = free.first()
            if row is not None and row.delete(using=using)[0]:
                send_task(_record_of(row))
    except TaskNotSent:
        rows.update(created_at=timezone.now())
        logger.exception("Task %s remains in the outbox; later work sends it", task_id)
        return False
    return True


def _has_table(using: str) -> bool:
    if using not in _with_table:
        connection = connections[using]
        if OutgoingTask._meta.db_table in connection.introspection.table_names():
            _with_table.add(using)
    return using in _with_table


def _allowed(using: str) -> bool:
    """Return whether the project's database routers allow the table."""
    return router.allow_migrate_model(using, OutgoingTask)
