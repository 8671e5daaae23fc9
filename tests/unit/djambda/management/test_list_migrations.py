"""`list_migrations` prints the migrations of the installed apps, without a database."""

import io

from django.core.management import call_command

from djambda.management.commands import list_migrations


def test_migrations_are_listed_without_a_database() -> None:
    """pytest-django refuses connections in a test without a database mark."""
    out = io.StringIO()

    call_command(list_migrations.Command(), stdout=out)

    lines = out.getvalue().splitlines()
    assert "auth.0001_initial" in lines
    assert "contenttypes.0001_initial" in lines
    assert lines == sorted(lines)
