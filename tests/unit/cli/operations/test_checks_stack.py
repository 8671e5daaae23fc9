"""Checks of the deployed stack."""

import pytest

from djambda_cli.aws.database import Database
from djambda_cli.aws.log_entries import parse_events
from djambda_cli.aws.log_errors import distinct_errors
from djambda_cli.operations.checks_stack import (
    check_stack,
    rate_database,
    rate_errors,
    rate_hosts,
    rate_versions,
)
from djambda_cli.operations.findings import Level, run_check
from djambda_common.names import IPV4_LOGGER
from tests.unit.cli.aws_fakes import THREE, FakeClient, deployment, live_history
from tests.unit.cli.log_samples import END, REPORT, START, events


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("UPDATE_COMPLETE", Level.OK),
        ("UPDATE_IN_PROGRESS", Level.WARNING),
        ("UPDATE_ROLLBACK_COMPLETE", Level.WARNING),
        ("ROLLBACK_COMPLETE", Level.PROBLEM),
        ("UPDATE_ROLLBACK_FAILED", Level.PROBLEM),
        ("DELETE_FAILED", Level.PROBLEM),
    ],
)
def test_stack_status(state: str, level: Level) -> None:
    stack = {"StackName": "dev-shop", "StackStatus": state, "CreationTime": None}
    clients = {name: FakeClient() for name in ("lambda", "rds", "cloudwatch", "logs")}
    clients["cloudformation"] = FakeClient(describe_stacks={"Stacks": [stack]})

    findings = run_check("the stack", lambda: check_stack(deployment(**clients)))

    assert findings[0].level is level
    assert findings[0].message.startswith("dev-shop: ")


@pytest.mark.parametrize(
    ("state", "levels"),
    [
        ("Active", [Level.OK, Level.WARNING]),
        ("Inactive", [Level.WARNING, Level.WARNING]),
        ("Failed", [Level.PROBLEM, Level.WARNING]),
    ],
)
def test_state_of_a_live_version_with_a_newer_one(state: str, levels: list[Level]) -> None:
    findings = list(
        rate_versions(live_history(*THREE), state=state, reason="", deploy="djambda deploy")
    )

    assert [finding.level for finding in findings] == levels
    assert [finding.message[:10] for finding in findings] == ["version 3 ", "version 4 "]


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("paused", Level.OK),
        ("available", Level.OK),
        ("upgrading", Level.WARNING),
        ("storage-full", Level.PROBLEM),
    ],
)
def test_database_state(state: str, level: Level) -> None:
    assert rate_database(Database("cluster", state, None, None)).level is level


@pytest.mark.parametrize(("count", "message"), [(1, "1 error in"), (3, "3 errors in")])
def test_recent_errors(count: int, message: str) -> None:
    finding = rate_errors(count, "djambda logs")

    assert (finding.level, finding.action) == (Level.WARNING, "djambda logs")
    assert finding.message.startswith(message)


def test_hosts_without_ipv6_are_named_once() -> None:
    messages = [
        {"level": "ERROR", "logger": IPV4_LOGGER, "message": "Host ...", "host": host}
        for host in ("b.example.com", "a.example.com", "b.example.com")
    ]
    failure = {"level": "ERROR", "logger": "django.request", "message": "Internal Server Error"}

    entries = distinct_errors(parse_events(events(*messages, failure), {}))
    [finding] = rate_hosts(entries)

    assert finding.level is Level.WARNING
    assert finding.message.endswith(": a.example.com, b.example.com")
    assert "EGRESS" in finding.action
    assert list(rate_hosts(entries[-1:])) == []


def test_report_of_a_host_explains_the_failure_of_its_request() -> None:
    host = {"level": "ERROR", "logger": IPV4_LOGGER, "message": "Host ...", "host": "a.example.com"}
    failure = {"level": "ERROR", "logger": "django.request", "message": "Internal Server Error"}

    [error] = distinct_errors(parse_events(events(START, host, failure, END, REPORT), {}))

    assert error.logger == IPV4_LOGGER
