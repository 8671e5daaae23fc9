"""Wait until the database, which may be paused, accepts connections: a release runs this first."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from djambda import deadline
from djambda.db.resume import retry_until_resumed


class Command(BaseCommand):
    help = "Waits until the database accepts connections."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--timeout", type=float, default=120, help="Seconds (default: 120).")

    def handle(self, *, timeout: float, **_: Any) -> None:
        started = time.monotonic()
        deadline.start_command(connect_seconds=timeout)
        try:
            retry_until_resumed(lambda _: self._query(), seconds=timeout, errors=OperationalError)
        except OperationalError as error:
            waited = time.monotonic() - started
            raise CommandError(
                f"No connection to the database after {waited:.0f} s: {error}"
            ) from error
        self.stdout.write(f"The database accepts connections ({time.monotonic() - started:.1f} s).")

    def _query(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
