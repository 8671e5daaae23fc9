"""Findings about a project before a deploy."""

from typing import Any

import pytest

from djambda_cli.errors import CliError
from djambda_cli.operations.checks_project import (
    Stored,
    check_facts,
    check_messages,
    check_paths,
    check_settings,
    check_unsupported,
    require_no_problem,
    stored_variables,
)
from djambda_cli.operations.findings import Level, ok, problem, warning
from djambda_cli.project.inspection import Inspection, Missing
from tests.unit.cli.aws_fakes import FakeClient, deployment, refusal

FACTS: dict[str, Any] = {
    "apps": ["django.contrib.auth", "shop"],
    "engines": {"default": "djambda.db"},
    "haystack": [],
    "replaced": {},
    "login": {"field": "username", "value": "admin"},
    "superuser_lacks": [],
    "uses_postgres_search": False,
}
MISSING = Missing("STRIPE_KEY", "shop/settings.py:5")


def test_nothing_to_report() -> None:
    assert list(check_settings(Inspection(django="6.1", facts=FACTS), deployment(), Stored())) == []


def test_missing_variable_names_its_place_and_the_command() -> None:
    [finding] = check_settings(Inspection(required=[MISSING], facts=FACTS), deployment(), Stored())

    assert finding.level is Level.PROBLEM
    assert "shop/settings.py:5" in finding.message
    assert "djambda secret set STRIPE_KEY" in finding.action


def test_missing_variable_is_no_problem_if_the_variables_are_unknown() -> None:
    inspection = Inspection(required=[MISSING], failure="ValueError: no", facts=FACTS)

    findings = list(check_settings(inspection, deployment(), Stored(findings=(warning("no"),))))

    assert [finding.level for finding in findings] == [Level.WARNING, Level.WARNING]
    assert "which is not set" not in findings[0].message


def test_packages_that_need_a_process_of_their_own() -> None:
    workers, websockets = check_unsupported(["celery", "channels", "django", "django_rq"])

    assert workers.level is websockets.level is Level.WARNING
    assert "celery, django-rq" in workers.message
    assert "WebSockets" in websockets.message
    assert list(check_unsupported(["django", "celery-types"])) == []


def test_missing_module_is_a_package_or_does_not_ship() -> None:
    inspection = Inspection(failure="ModuleNotFoundError: No module named 'environ'")

    [finding] = check_settings(inspection, deployment(), Stored())

    assert "extra or group in djambda.toml" in finding.action
    assert "djambda synth --files" in finding.action


def test_names_of_variables_take_the_place_of_their_values() -> None:
    denied = refusal("AccessDeniedException", "not authorized")
    parameter = {"Name": "/djambda/dev/shop/secret/KEY"}
    ssm = FakeClient(get_parameters_by_path=denied, describe_parameters={"Parameters": [parameter]})

    assert stored_variables(deployment(ssm=ssm), with_values=True) == Stored(
        names=frozenset({"KEY"})
    )


def test_values_are_not_read_for_a_deploy() -> None:
    ssm = FakeClient(describe_parameters={"Parameters": []})

    assert stored_variables(deployment(ssm=ssm), with_values=False) == Stored()


def test_variables_that_cannot_be_read() -> None:
    denied = refusal("AccessDeniedException", "not authorized")
    ssm = FakeClient(get_parameters_by_path=denied, describe_parameters=denied)

    [finding] = stored_variables(deployment(ssm=ssm), with_values=True).findings

    assert "not authorized" in finding.message


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"apps": ["mssql"]}, Level.PROBLEM, "SQL Server"),
        ({"apps": ["debug_toolbar"]}, Level.WARNING, "debug_toolbar"),
        (
            {"engines": {"default": "djambda.db", "old": "django.db.backends.sqlite3"}},
            Level.WARNING,
            'DATABASES["old"]',
        ),
        (
            {"haystack": ["haystack.backends.whoosh_backend.WhooshEngine"]},
            Level.PROBLEM,
            "WhooshEngine",
        ),
        ({"uses_postgres_search": True}, Level.WARNING, "django.contrib.postgres"),
        ({"superuser_lacks": ["age", "city"]}, Level.WARNING, "age, city"),
        ({"login": {"field": "email", "value": "a@example.com"}}, Level.OK, "a@example.com"),
        ({"replaced": {"DEBUG": "the deployment decides"}}, Level.OK, "DEBUG: the deployment"),
    ],
)
def test_settings_that_do_not_work(changes: dict[str, Any], level: Level, words: str) -> None:
    [finding] = check_facts(FACTS | changes)

    assert finding.level is level
    assert words in finding.message


def test_equal_messages_of_django_are_one_finding() -> None:
    def message(is_error: bool, name: str, where: str) -> dict[str, Any]:
        return {
            "id": name,
            "is_error": is_error,
            "message": "No.",
            "hint": "Do it.",
            "object": where,
        }

    error, other = check_messages(
        [
            message(True, "fields.E210", "shop.Photo.image"),
            message(False, "security.W001", ""),
            message(True, "fields.E210", "shop.Page.image"),
        ]
    )

    assert error == problem("shop.Photo.image, shop.Page.image: (fields.E210) No.", "Do it.")
    assert other == warning("(security.W001) No.", "Do it.")


def test_many_paths_are_one_finding() -> None:
    [finding] = check_paths((f"a.html:{line}", "/about/") for line in range(7))

    assert "a.html:0 (/about/)" in finding.message
    assert finding.message.endswith("and 2 more")
    assert list(check_paths([])) == []


def test_problems_prevent_a_deploy() -> None:
    report = {"A": [ok("fine"), problem("first", "do this")], "B": [problem("second\nline", "")]}

    with pytest.raises(CliError) as caught:
        require_no_problem(report, deployment())

    lines = str(caught.value).splitlines()
    assert "  - first" in lines
    assert "    do this" in lines
    assert "djambda check" in lines[-1]
    assert "fine" not in str(caught.value)
    require_no_problem({"A": [warning("only a warning")]}, deployment())
