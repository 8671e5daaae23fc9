"""`djambda doctor`: what it finds in an account, and what it says to do."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from djambda_cli.commands import doctor
from djambda_cli.commands.doctor import Finding, Mark, as_data, attempt, bad, good, odd
from djambda_cli.deployment import Deployment
from tests.unit.cli.aws_fakes import CONFIG, FakeClient, deployment, refusal

type Check = Callable[[Deployment], Iterator[Finding]]

REFUSED = (
    "An error occurred (AccessDeniedException) when calling the describe_account_attributes "
    "operation: not authorized to do that"
)
ME = {"Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/dev/ann"}


def marks(check: Check, **clients: FakeClient) -> list[tuple[Mark, str]]:
    """What a check finds with CONFIG."""
    return [(each.mark, each.said) for each in check(deployment(**clients))]


def test_this_machine_has_what_it_needs() -> None:
    found = list(doctor.machine(local=True))

    assert [each for each in found if each.mark is Mark.BAD] == []
    assert [each.said.rpartition(" ")[0] for each in found[:5]] == [
        "Python",
        "uv",
        "Node",
        "CDK command line",
        "AWS emulator",
    ]


def test_a_machine_without_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_said", lambda *_: "")
    monkeypatch.setattr(doctor, "_version_of_cdk", lambda _: "")

    missing = [each for each in doctor.machine(local=False) if each.mark is Mark.BAD]

    assert missing == [
        bad(f"{tool} is missing", "make tools") for tool in ("uv", "Node", "CDK command line")
    ]


def test_node_and_cdk_of_a_wrong_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_said", lambda *_: "v18.1.0")
    monkeypatch.setattr(doctor, "_version_of_cdk", lambda file: f"of {file}")

    said = [each.said for each in doctor.machine(local=False) if each.mark is Mark.BAD]

    assert "Node 18.1.0 is none that the CDK supports" in said
    assert "CDK command line of node_modules/.package-lock, and of package-lock is locked" in said


def test_the_account() -> None:
    sts = FakeClient(get_caller_identity=ME)
    right = replace(CONFIG, aws_account_id="123456789012")
    wrong = replace(CONFIG, aws_account_id="210987654321")

    assert list(doctor.credentials(deployment(right, sts=sts))) == [
        good("account 123456789012, as assumed-role/dev/ann")
    ]
    [found] = doctor.credentials(deployment(wrong, sts=sts))
    assert (found.mark, found.said) == (
        Mark.BAD,
        "you are in account 123456789012, and AWS_ACCOUNT_ID is 210987654321",
    )
    assert [mark for mark, _ in marks(doctor.credentials, sts=sts)] == [Mark.GOOD, Mark.ODD]


def test_nobody_is_logged_in() -> None:
    sts = FakeClient(get_caller_identity=refusal("ExpiredToken"))

    [found] = doctor.of_aws(deployment(sts=sts))["Account"]

    assert (found.mark, found.said) == (Mark.BAD, "AWS does not let you in")
    assert "aws sso login" in found.do


@pytest.mark.parametrize(
    ("version", "mark", "said"),
    [
        ({"Parameter": {"Value": "33"}}, Mark.GOOD, "CDK bootstrap, version 33"),
        ({"Parameter": {"Value": "5"}}, Mark.BAD, "the CDK's bootstrap has version 5, 6 is needed"),
        (refusal("ParameterNotFound"), Mark.ODD, "the CDK is not set up in eu-west-1 yet"),
    ],
)
def test_bootstrap(version: Any, mark: Mark, said: str) -> None:
    assert marks(doctor.bootstrap, ssm=FakeClient(get_parameter=version)) == [(mark, said)]


@pytest.mark.parametrize(
    ("wanted", "limit", "unreserved", "own", "mark"),
    [
        (None, 1000, 1000, 0, Mark.GOOD),
        (None, 10, 10, 0, Mark.ODD),
        (5, 10, 10, 0, Mark.BAD),
        (900, 1000, 1000, 0, Mark.GOOD),
        (901, 1000, 1000, 0, Mark.BAD),
        (900, 1000, 100, 900, Mark.GOOD),
        (500, 1000, 500, 0, Mark.BAD),
    ],
)
def test_concurrency(wanted: int | None, limit: int, unreserved: int, own: int, mark: Mark) -> None:
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

    [found] = doctor.concurrency(deployment(config, **{"lambda": client}))

    assert found.mark is mark


@pytest.mark.parametrize(
    ("zone", "mark"),
    [
        ({"HostedZone": {"Name": "example.com."}}, Mark.GOOD),
        ({"HostedZone": {"Name": "www.example.com."}}, Mark.GOOD),
        ({"HostedZone": {"Name": "ample.com."}}, Mark.BAD),
        (refusal("NoSuchHostedZone"), Mark.BAD),
    ],
)
def test_the_domains_zone(zone: Any, mark: Mark) -> None:
    config = replace(CONFIG, domain_name="www.example.com", hosted_zone_id="Z1234567")

    [found] = doctor.domain(deployment(config, route53=FakeClient(get_hosted_zone=zone)))

    assert found.mark is mark


def test_no_domain() -> None:
    assert marks(doctor.domain) == []


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        ({"Quota": {"Value": 5.0}}, (Mark.BAD, "5 of 5 VPCs: no room for another")),
        ({"Quota": {"Value": 20.0}}, (Mark.GOOD, "5 of 20 VPCs")),
        (refusal("AccessDenied"), (Mark.BAD, "5 of 5 VPCs: no room for another")),
    ],
)
def test_room_for_a_vpc(quota: Any, said: tuple[Mark, str]) -> None:
    ec2 = FakeClient(describe_vpcs={"Vpcs": [{}] * 5})
    quotas = FakeClient(get_service_quota=quota)

    assert marks(doctor.vpcs, ec2=ec2, **{"service-quotas": quotas}) == [said]


def test_room_for_a_cluster() -> None:
    quotas = [
        {"AccountQuotaName": "DBInstances", "Used": 40, "Max": 40},
        {"AccountQuotaName": "DBClusters", "Used": 1, "Max": 40},
    ]
    rds = FakeClient(describe_account_attributes={"AccountQuotas": quotas})

    assert marks(doctor.clusters, rds=rds) == [(Mark.GOOD, "1 of 40 database clusters")]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"accountPlanType": "FREE"}, [Mark.BAD]),
        ({"accountPlanType": "PAID"}, [Mark.GOOD]),
        (refusal("ResourceNotFoundException"), []),
    ],
)
def test_the_free_plan_has_no_such_database(state: Any, found: list[Mark]) -> None:
    freetier = FakeClient(get_account_plan_state=state)

    assert [mark for mark, _ in marks(doctor.plan, freetier=freetier)] == found


def test_a_new_account_is_looked_at_for_the_first_deploy() -> None:
    missing = refusal("ValidationError", "Stack with id dev-shop does not exist")
    refused = refusal("AccessDeniedException", "not authorized to do that")
    limits = {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}

    report = doctor.of_aws(
        deployment(
            sts=FakeClient(get_caller_identity=ME),
            cloudformation=FakeClient(describe_stacks=missing),
            ssm=FakeClient(get_parameter=refusal("ParameterNotFound")),
            ec2=FakeClient(describe_vpcs={"Vpcs": [{}]}),
            rds=FakeClient(describe_account_attributes=refused),
            freetier=FakeClient(get_account_plan_state={"accountPlanType": "FREE"}),
            **{
                "lambda": FakeClient(
                    get_account_settings={"AccountLimit": limits},
                    get_function_concurrency=refusal("ResourceNotFoundException"),
                ),
                "service-quotas": FakeClient(get_service_quota=refused),
            },
        )
    )

    assert [(each.mark.sign[0], each.said) for each in report["Account"]] == [
        ("✓", "account 123456789012, as assumed-role/dev/ann"),
        ("!", "AWS_ACCOUNT_ID is not set"),
        ("!", "the CDK is not set up in eu-west-1 yet"),
        ("!", "10 functions at once, which is 5 requests to the site"),
        ("✓", "1 of 5 VPCs"),
        (
            "!",
            f"the number of database clusters cannot be looked at: {REFUSED}",
        ),
        ("✗", "the account is on AWS's Free plan, which has no Aurora of this kind"),
    ]
    assert report["Stack"] == [odd("nothing is deployed", "djambda deploy")]


@pytest.mark.parametrize(
    ("state", "mark"),
    [
        ("UPDATE_COMPLETE", Mark.GOOD),
        ("UPDATE_IN_PROGRESS", Mark.ODD),
        ("UPDATE_ROLLBACK_COMPLETE", Mark.ODD),
        ("ROLLBACK_COMPLETE", Mark.BAD),
        ("UPDATE_ROLLBACK_FAILED", Mark.BAD),
        ("DELETE_FAILED", Mark.BAD),
    ],
)
def test_the_stacks_state(state: str, mark: Mark) -> None:
    stack = {"StackName": "dev-shop", "StackStatus": state, "CreationTime": None}
    clients = {name: FakeClient() for name in ("lambda", "rds", "cloudwatch", "logs")}
    clients["cloudformation"] = FakeClient(describe_stacks={"Stacks": [stack]})

    found = attempt("the stack", lambda: doctor.deployed(deployment(**clients)))

    assert found[0].mark is mark
    assert found[0].said.startswith("dev-shop: ")


def test_a_report_for_scripts() -> None:
    report = {"Machine": [good("Python")], "Stack": [bad("broken", "mend it")]}

    assert as_data(report) == {
        "ok": False,
        "findings": [
            {"section": "Machine", "mark": "ok", "said": "Python", "do": ""},
            {"section": "Stack", "mark": "problem", "said": "broken", "do": "mend it"},
        ],
    }
