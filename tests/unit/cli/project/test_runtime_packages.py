"""The packages that the runtime adds to a project's lock."""

import pytest

from djambda_cli.project.runtime_packages import ALWAYS, DRIVER, complete, for_lambda, without

COMPLETE = "django-storages==1.14.6\npybase64==1.5.1\n"


@pytest.mark.parametrize(
    ("lock", "removed", "added"),
    [
        ("", set(), {DRIVER}),
        ("psycopg2-binary==2.9.10", set(), set()),
        ("psycopg2==2.9.10", {"psycopg2"}, {"psycopg2-binary==2.9.10"}),
        ("psycopg2==2.9.9\npsycopg2-binary==2.9.10", {"psycopg2"}, set()),
        ("psycopg==3.3.8", set(), {"psycopg-binary==3.3.8"}),
        ("psycopg[binary]==3.3.8\npsycopg-binary==3.3.8", set(), set()),
        ("psycopg[c]==3.3.8\npsycopg-c==3.3.8", {"psycopg-c"}, {"psycopg-binary==3.3.8"}),
        ("Psycopg2_Binary==2.9.10", set(), set()),
    ],
)
def test_driver_has_its_own_libpq(lock: str, removed: set[str], added: set[str]) -> None:
    completion = complete(COMPLETE + lock)

    assert completion.removed == removed
    assert set(completion.added) == added


def test_missing_packages_of_the_runtime_are_added() -> None:
    assert set(complete("psycopg2-binary==2.9.10").added) == set(ALWAYS)


def test_servers_that_need_a_compiler_are_left_out() -> None:
    completion = complete("psycopg2-binary==2.9.10\nuWSGI==2.0.31\nmod_wsgi==5.0.2\n")

    assert completion.removed == {"uwsgi", "mod-wsgi"}


def test_packages_are_removed_with_their_hashes() -> None:
    lock = "psycopg2==2.9.10 \\\n    --hash=sha256:00\n# A comment.\nDjango==6.1.3\n"

    assert without(lock, frozenset({"psycopg2"})) == "Django==6.1.3\n"


@pytest.mark.parametrize(
    ("marker", "kept"),
    [
        ("python_version >= '3.13'", False),
        ("python_full_version < '3.13'", True),
        ("sys_platform == 'win32'", False),
        ("platform_machine == 'aarch64' and platform_system == 'Linux'", True),
        ("implementation_name == 'pypy'", False),
    ],
)
@pytest.mark.parametrize("package", ["tzdata==2026.1", "/shop/libs/pricing", "a @ file:///b"])
def test_packages_for_other_platforms_are_left_out(package: str, marker: str, kept: bool) -> None:
    lock = f"{package} ; {marker} \\\n    --hash=sha256:00\n--pre\n"

    assert (package in for_lambda(lock, "3.12")) is kept
    assert "--pre\n" in for_lambda(lock, "3.12")


def test_package_that_is_too_old_is_named() -> None:
    [conflict] = complete("django-storages==1.12\npybase64==1.4.0\n").conflicts

    assert "django-storages 1.12" in conflict
