"""The stored form of variables, and what cannot be stored."""

import secrets

import pytest

from djambda_common.variables import (
    FACTS,
    LIMIT,
    count_pieces,
    decode,
    default_names,
    encode,
    looks_secret,
    pack,
    problem_of,
    unpack,
)


@pytest.mark.parametrize(
    "value",
    ["", " a ", "'\"$HOME\\n", "a\nb\r\n", "{{ssm:name}}", "zażółć 🦄", "123", '"quoted"', "null"],
)
def test_value_is_unchanged(value: str) -> None:
    stored = encode(value)

    assert decode(stored) == value
    assert stored.isascii()
    assert "{{" not in stored


@pytest.mark.parametrize("stored", ["plain", "123", "[1]", "{"])
def test_value_of_another_tool_is_read_as_it_is(stored: str) -> None:
    assert decode(stored) == stored


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_REGION", "LAMBDA_TASK_ROOT", "_HANDLER", "DJANGO_SETTINGS_MODULE", "DEBUG"),
        *("POSTGRES_DB", "PGHOST", "PATH", "PYTHONPATH", "LD_PRELOAD", "RELEASE", "SITE_PREFIX"),
        *("DJANGO_SUPERUSER_USERNAME", "SECRETS_PATH", "ALLOWED_HOSTS", "VARIABLES_SNAPSHOT"),
    ],
)
def test_reserved_names(name: str) -> None:
    assert "reserved" in problem_of(name)


def test_default_names_can_be_set() -> None:
    names = default_names("config.settings.production", ["APP_KEY=SECRET_KEY"])

    assert names["APP_KEY"] == names["CONFIG_SECRET_KEY"] == "SECRET_KEY"
    assert set(names.values()) <= set(FACTS)
    assert [name for name in names if problem_of(name)] == ["DEBUG"]


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A/B", "Ä"])
def test_invalid_names(name: str) -> None:
    assert "not a name" in problem_of(name)


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "SECRET_KEY", "DJANGO_AWS_KEY", "LDAP_URL", "PAGE_SIZE", "a"]
)
def test_possible_names(name: str) -> None:
    assert problem_of(name, "x" * (LIMIT - 2)) == ""


@pytest.mark.parametrize("value", ["secret" + "x" * LIMIT, "secret\0"])
def test_problem_does_not_contain_the_value(value: str) -> None:
    assert "secret" not in problem_of("NAME", value) != ""


@pytest.mark.parametrize("count", [0, 1, 20, 300])
def test_snapshot_is_unchanged_and_fits_into_parameters(count: int) -> None:
    stored = {f"env/NAME_{n}": secrets.token_hex(50) for n in range(count)}

    pieces = pack(stored)

    assert unpack(pieces) == stored
    assert count_pieces(pieces[0]) == len(pieces)
    assert all(piece.isascii() and len(piece) <= LIMIT and "{{" not in piece for piece in pieces)
    assert (len(pieces) == 1) == (count <= 20)


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("DJANGO_SECRET_KEY", "x", True),
        ("sentry_dsn", "x", True),
        ("EMAIL_HOST_PASSWORD", "", True),
        ("DATABASE_URL", "postgres://user:password@host/db", True),
        ("REDIS_URL", "redis://:password@host", True),
        ("REDIS_URL", "redis://host:6379/0", False),
        ("DJANGO_ADMIN_URL", "admin/", False),
        ("DJANGO_ALLOWED_HOSTS", "*", False),
    ],
)
def test_secrets_are_recognized(name: str, value: str, *, is_secret: bool) -> None:
    assert looks_secret(name, value) is is_secret
