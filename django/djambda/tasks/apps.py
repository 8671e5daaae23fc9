"""The Django app of the outbox: its table must exist before other migrations enqueue tasks."""

from typing import Any

from django.apps import AppConfig
from django.core.signals import request_finished
from django.db.backends.signals import connection_created
from django.db.models.signals import pre_migrate

from djambda.aws import is_deployed


class TasksConfig(AppConfig):
    """Sends tasks that a killed process has left in the outbox."""

    name = "djambda.tasks"
    label = "djambda_tasks"

    def ready(self) -> None:
        if is_deployed():
            from djambda.tasks import outbox  # noqa: PLC0415 (needs the loaded apps)

            connection_created.connect(outbox.remember_connection)
            request_finished.connect(outbox.send_left_tasks)
            pre_migrate.connect(create_outbox, sender=self)


def create_outbox(using: str, **_: Any) -> None:
    """Create the outbox before the first migration, which may enqueue tasks."""
    from djambda.tasks import outbox  # noqa: PLC0415 (as above)

    outbox.create_table(using)
