"""Checks of the AWS account."""

from dataclasses import replace
from typing import Any

import pytest

from djambda_cli.operations.checks_account import (
    check_bootstrap,
    check_concurrency,
    check_credentials,
    check_domain,
)
from djambda_cli.operations.findings import Check, Level, ok
from tests.unit.cli.aws_fakes import CONFIG, FakeClient, deployment, refusal

ME = {"Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/dev/ann"}


def levels(check: Check, **clients: FakeClient) -> list[tuple[Level, str]]:
    """Levels and messages of a check with CONFIG."""
    return [(finding.level, finding.message) for finding in check(deployment(**clients))]


def test_credentials() -> None:
    sts = FakeClient(get_caller_identity=ME)
    right = replace(CONFIG, aws_account_id="123456789012")
    wrong = replace(CONFIG, aws_account_id="210987654321")

    assert list(check_credentials(deployment(right, sts=sts))) == [
        ok("account 123456789012, as assumed-role/dev/ann")
    ]
    [finding] = check_credentials(deployment(wrong, sts=sts))
    assert (finding.level, finding.message) == (
        Level.PROBLEM,
        "the credentials belong to account 123456789012, but AWS_ACCOUNT_ID is 210987654321",
    )
    assert [level for level, _ in levels(check_credentials, sts=sts)] == [Level.OK, Level.WARNING]


@pytest.mark.parametrize(
    ("version", "level", "message"),
    [
        ({"Parameter": {"Value": "33"}}, Level.OK, "CDK bootstrap, version 33"),
        (
            {"Parameter": {"Value": "5"}},
            Level.PROBLEM,
            "CDK bootstrap has version 5, but 6 is required",
        ),
        (
            refusal("ParameterNotFound"),
            Level.WARNING,
            "the CDK is not bootstrapped in eu-west-1 yet",
        ),
    ],
)
def test_bootstrap(version: Any, level: Level, message: str) -> None:
    assert levels(check_bootstrap, ssm=FakeClient(get_parameter=version)) == [(level, message)]


@pytest.mark.parametrize(
    ("wanted", "limit", "unreserved", "own", "level"),
    [
        (None, 1000, 1000, 0, Level.OK),
        (None, 10, 10, 0, Level.WARNING),
        (5, 10, 10, 0, Level.PROBLEM),
        (900, 1000, 1000, 0, Level.OK),
        (901, 1000, 1000, 0, Level.PROBLEM),
        (900, 1000, 100, 900, Level.OK),
        (500, 1000, 500, 0, Level.PROBLEM),
    ],
)
def test_concurrency(
    wanted: int | None, limit: int, unreserved: int, own: int, level: Level
) -> None:
    client = FakeClient(
        get_account_settings={
            "AccountLimit": {
                "ConcurrentExecutions": limit,
                "UnreservedConcurrentExecutions": unreserved,
            }
        },
        get_function_concurrency={"ReservedConcurrentExecutions": own}
        if own
        else refusal("ResourceNotFoundException"),
    )
    config = replace(CONFIG, lambda_concurrency=wanted)

    [finding] = check_concurrency(deployment(config, **{"lambda": client}))

    assert finding.level is level


@pytest.mark.parametrize(
    ("zone", "level"),
    [
        ({"HostedZone": {"Name": "example.com."}}, Level.OK),
        ({"HostedZone": {"Name": "www.example.com."}}, Level.OK),
        ({"HostedZone": {"Name": "ample.com."}}, Level.PROBLEM),
        (refusal("NoSuchHostedZone"), Level.PROBLEM),
    ],
)
def test_hosted_zone(zone: Any, level: Level) -> None:
    config = replace(CONFIG, domain_name="www.example.com", hosted_zone_id="Z1234567")

    [finding] = check_domain(deployment(config, route53=FakeClient(get_hosted_zone=zone)))

    assert finding.level is level


def test_no_domain() -> None:
    assert levels(check_domain) == []
