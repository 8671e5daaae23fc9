"""Migrations of projects that use what Aurora's PostgreSQL has, on the local one."""

import pytest
from django.contrib.auth.models import User
from django.contrib.postgres import operations
from django.db import connection
from django.db.migrations.state import ProjectState

EXTENSIONS = [
    operations.BloomExtension(),
    operations.BtreeGinExtension(),
    operations.BtreeGistExtension(),
    operations.CITextExtension(),
    operations.CryptoExtension(),
    operations.HStoreExtension(),
    operations.TrigramExtension(),
    operations.UnaccentExtension(),
]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def migrated() -> None:
    state = ProjectState()
    with connection.schema_editor(atomic=False) as editor:
        for extension in EXTENSIONS:
            extension.database_forwards("shop", editor, state, state)


def test_migration_creates_the_extensions() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extname FROM pg_extension")
        installed = {name for (name,) in cursor.fetchall()}
    assert {extension.name for extension in EXTENSIONS} <= installed


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("'été' ILIKE 'ÉTÉ'", True),
        ("upper('é')", "É"),
        ("unaccent('Été à Łódź')", "Ete a Lodz"),
        ("similarity('djambda', 'djambada') > 0.5", True),
        ("'A'::citext = 'a'::citext", True),
        ("encode(digest('a', 'sha256'), 'hex') LIKE 'ca978112%'", True),
    ],
)
def test_expression(expression: str, result: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression}".replace("%", "%%"), [])
        assert cursor.fetchone() == (result,)


def test_names_are_found_and_sorted_as_people_expect() -> None:
    for name in ("zoë", "Émile", "eva", "Ada"):
        User.objects.create(username=name)

    assert User.objects.filter(username__iexact="éMILE").exists()
    assert list(User.objects.order_by("username").values_list("username", flat=True)) == [
        *("Ada", "Émile", "eva", "zoë")
    ]
