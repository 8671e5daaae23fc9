"""The outbox: tasks that a transaction has enqueued, until they have been sent."""

from typing import ClassVar

from django.db import models


class OutgoingTask(models.Model):
    """A task to send; `record` is its record. The row is deleted when it has been sent."""

    id = models.CharField(max_length=64, primary_key=True)
    record = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager["OutgoingTask"]] = models.Manager()

    class Meta:
        app_label = "djambda_tasks"

    def __str__(self) -> str:
        return self.id
