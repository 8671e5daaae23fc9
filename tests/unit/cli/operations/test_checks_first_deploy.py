"""Checks before the first deploy."""

from dataclasses import replace
from typing import Any

import pytest

from djambda_cli.operations.checks_first_deploy import (
    check_cluster_quota,
    check_database_role,
    check_plan,
    check_public_access,
    check_vpc_quota,
    check_zones,
)
from djambda_cli.operations.findings import Check, Finding, Level
from tests.unit.cli.aws_fakes import CONFIG, FakeClient, deployment, refusal


def levels(check: Check, **clients: FakeClient) -> list[tuple[Level, str]]:
    """Levels and messages of a check with CONFIG."""
    return [(finding.level, finding.message) for finding in check(deployment(**clients))]


@pytest.mark.parametrize(
    ("quota", "finding"),
    [
        ({"Quota": {"Value": 5.0}}, (Level.PROBLEM, "5 of 5 VPCs: the quota is used up")),
        ({"Quota": {"Value": 20.0}}, (Level.OK, "5 of 20 VPCs")),
        (refusal("AccessDenied"), (Level.PROBLEM, "5 of 5 VPCs: the quota is used up")),
    ],
)
def test_vpc_quota(quota: Any, finding: tuple[Level, str]) -> None:
    ec2 = FakeClient(describe_vpcs={"Vpcs": [{}] * 5})
    quotas = FakeClient(get_service_quota=quota)

    assert levels(check_vpc_quota, ec2=ec2, **{"service-quotas": quotas}) == [finding]


def test_cluster_quota() -> None:
    quotas = [
        {"AccountQuotaName": "DBInstances", "Used": 40, "Max": 40},
        {"AccountQuotaName": "DBClusters", "Used": 1, "Max": 40},
    ]
    rds = FakeClient(describe_account_attributes={"AccountQuotas": quotas})

    assert levels(check_cluster_quota, rds=rds) == [(Level.OK, "1 of 40 database clusters")]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"accountPlanType": "FREE"}, [Level.PROBLEM]),
        ({"accountPlanType": "PAID"}, [Level.OK]),
        (refusal("ResourceNotFoundException"), []),
    ],
)
def test_plan(state: Any, expected: list[Level]) -> None:
    freetier = FakeClient(get_account_plan_state=state)

    assert [level for level, _ in levels(check_plan, freetier=freetier)] == expected


BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


def public_access(response: Any) -> Finding:
    sts = FakeClient(get_caller_identity={"Account": "123456789012"})
    s3control = FakeClient(get_public_access_block=response)
    [finding] = check_public_access(deployment(sts=sts, s3control=s3control))
    return finding


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, Level.PROBLEM),
        ({"BlockPublicPolicy": False}, Level.PROBLEM),
        ({"RestrictPublicBuckets": False}, Level.PROBLEM),
        ({"BlockPublicPolicy": False, "RestrictPublicBuckets": False}, Level.OK),
    ],
)
def test_account_level_block_public_access(changes: dict[str, bool], level: Level) -> None:
    assert public_access({"PublicAccessBlockConfiguration": BLOCKED | changes}).level is level


def test_fix_of_block_public_access_keeps_the_settings_for_acls() -> None:
    blocked = BLOCKED | {"IgnorePublicAcls": False}

    action = public_access({"PublicAccessBlockConfiguration": blocked}).action

    assert "--account-id 123456789012" in action
    assert (
        "BlockPublicAcls=true,IgnorePublicAcls=false,"
        "BlockPublicPolicy=false,RestrictPublicBuckets=false"
    ) in action


def test_account_without_block_public_access() -> None:
    assert public_access(refusal("NoSuchPublicAccessBlockConfiguration")).level is Level.OK


@pytest.mark.parametrize(
    ("role", "level"), [({"Role": {}}, Level.OK), (refusal("NoSuchEntity"), Level.WARNING)]
)
def test_role_of_rds(role: Any, level: Level) -> None:
    [finding] = check_database_role(deployment(iam=FakeClient(get_role=role)))

    assert finding.level is level
    assert ("create-service-linked-role" in finding.action) is (level is Level.WARNING)


ABC = ("eu-west-1a", "eu-west-1b", "eu-west-1c")


@pytest.mark.parametrize(
    ("default_subnets", "supported", "configured", "level", "facts"),
    [
        ("abc", "abc", (), Level.OK, ["eu-west-1a, eu-west-1b"]),
        ("", "abc", (), Level.OK, ["eu-west-1a, eu-west-1b"]),
        ("bc", "bc", (), Level.OK, ["eu-west-1b, eu-west-1c"]),
        ("a", "abc", (), Level.PROBLEM, ["1 of 2", "=eu-west-1a,eu-west-1b"]),
        ("abc", "bc", (), Level.PROBLEM, ["eu-west-1a", "=eu-west-1b,eu-west-1c"]),
        ("abc", "a", (), Level.PROBLEM, ["eu-west-1b", "another region"]),
        ("a", "abc", ("eu-west-1b", "eu-west-1c"), Level.OK, ["eu-west-1b, eu-west-1c"]),
        ("abc", "ab", ("eu-west-1b", "eu-west-1c"), Level.PROBLEM, ["=eu-west-1a,eu-west-1b"]),
        ("abc", "abc", ("eu-west-1b", "eu-west-1f"), Level.PROBLEM, ["no eu-west-1f"]),
    ],
)
def test_availability_zones(
    default_subnets: str,
    supported: str,
    configured: tuple[str, ...],
    level: Level,
    facts: list[str],
) -> None:
    ec2 = FakeClient(
        describe_availability_zones={"AvailabilityZones": [{"ZoneName": zone} for zone in ABC]},
        describe_subnets={
            "Subnets": [{"AvailabilityZone": f"eu-west-1{zone}"} for zone in default_subnets]
        },
        describe_vpc_endpoint_services={
            "ServiceDetails": [{"AvailabilityZones": [f"eu-west-1{zone}" for zone in supported]}]
        },
    )
    config = replace(CONFIG, availability_zones=configured)

    [finding] = check_zones(deployment(config, ec2=ec2))

    assert finding.level is level
    for fact in facts:
        assert fact in f"{finding.message}\n{finding.action}"


def test_nat_instance_needs_a_zone_with_its_type() -> None:
    ec2 = FakeClient(
        describe_availability_zones={"AvailabilityZones": [{"ZoneName": zone} for zone in ABC]},
        describe_subnets={"Subnets": []},
        describe_vpc_endpoint_services={"ServiceDetails": [{"AvailabilityZones": list(ABC)}]},
        describe_instance_type_offerings={
            "InstanceTypeOfferings": [{"Location": zone} for zone in ABC[1:]]
        },
    )
    config = replace(CONFIG, egress="nat-instance")

    [finding] = check_zones(deployment(config, ec2=ec2))

    assert finding.level is Level.PROBLEM
    assert "AVAILABILITY_ZONES=eu-west-1b,eu-west-1c" in finding.action
