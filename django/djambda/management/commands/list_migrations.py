"""`list_migrations`: the migrations that `djambda rollback` compares between two versions."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db.migrations.loader import MigrationLoader


class Command(BaseCommand):
    help = (
        "Lists the migrations in the code, one app_label.name per line. Unlike showmigrations, it "
        "does not connect to the database, which may be paused."
    )
    requires_system_checks = ()

    def handle(self, **_: Any) -> None:
        loader = MigrationLoader(None, load=False)
        loader.load_disk()
        for app_label, name in sorted(loader.disk_migrations):
            self.stdout.write(f"{app_label}.{name}")
