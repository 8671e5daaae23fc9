"""`enqueue_task`: enqueue a task of the project, e.g. on a schedule."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string


class Command(BaseCommand):
    """Enqueues a task without arguments in its backend."""

    help = "Enqueues a task without arguments, as Django's `enqueue()` does."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the path of the task."""
        parser.add_argument("task", help='The path of the task, e.g. "polls.tasks.close_polls".')

    def handle(self, *, task: str, **_options: Any) -> None:
        """Print the result's id. Raises `CommandError` if there is no such task, or it failed."""
        try:
            found = import_string(task)
        except ImportError as error:
            raise CommandError(f"{task} cannot be imported: {error}") from error
        if not callable(getattr(found, "enqueue", None)):
            raise CommandError(f"{task} is not a task. Decorate the function with @task.")
        result = found.enqueue()
        # Backends that run tasks at once do not raise their errors.
        if result.is_finished and result.errors:
            self.stderr.write(result.errors[-1].traceback)
            raise CommandError(f"{task} failed.")
        self.stdout.write(f"Enqueued {task}: {result.id}")
