"""`wait_for_database`: the first command of a release, which may find the database asleep."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from djambda.db.resume import patiently


class Command(BaseCommand):
    help = "Waits until the database answers."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--timeout", type=float, default=120, help="In seconds (default: 120).")

    def handle(self, *, timeout: float, **_: Any) -> None:
        started = time.monotonic()
        try:
            patiently(lambda _: self._ask(), seconds=timeout, errors=OperationalError)
        except OperationalError as error:
            waited = time.monotonic() - started
            raise CommandError(
                f"No connection to the database after {waited:.0f} s: {error}"
            ) from error
        self.stdout.write(f"The database answers ({time.monotonic() - started:.1f} s).")

    def _ask(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
