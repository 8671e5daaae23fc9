"""Checks of Amazon SES."""

from dataclasses import replace
from typing import Any

import pytest

from awscdk.config import Config
from awscdk.readers import Mailbox
from djambda_cli.operations.checks_account import check_domain
from djambda_cli.operations.checks_mail import check_mail, identities, unverified_address
from djambda_cli.operations.findings import Level
from tests.unit.cli.aws_fakes import CONFIG, FakeClient, FakeDeployment, deployment, refusal

HEALTHY = {
    "ProductionAccessEnabled": True,
    "SendingEnabled": True,
    "EnforcementStatus": "HEALTHY",
    "SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0},
}
MAIL = replace(CONFIG, mail_from=Mailbox("shop@mail.example.com"))
DOMAIN = replace(
    CONFIG,
    mail_from=Mailbox("shop@example.com"),
    domain_name="www.example.com",
    hosted_zone_id="Z2FDTNDATAQYW2",
)


def with_ses(
    config: Config, account: Any = HEALTHY, *, created: str = "", **verified: bool
) -> FakeDeployment:
    """A deployment on AWS with these identities, whose "." and "@" are "_" and "_at_"."""
    names = {
        name.replace("_at_", "@").replace("_", "."): {"VerifiedForSendingStatus": status}
        for name, status in verified.items()
    }
    outputs = [{"OutputKey": "SiteUrl", "OutputValue": "https://example.com/"}]
    if created:
        outputs.append({"OutputKey": "MailIdentity", "OutputValue": created})
    stack = {"StackStatus": "CREATE_COMPLETE", "Outputs": outputs}
    return deployment(
        config,
        cloudformation=FakeClient(describe_stacks={"Stacks": [stack]}),
        sesv2=FakeClient(
            get_account=account,
            get_email_identity=lambda EmailIdentity: names.get(  # noqa: N803 (boto3's name)
                EmailIdentity, refusal("NotFoundException")
            ),
        ),
    )


def findings(*arguments: Any, **named: Any) -> list[tuple[Level, str, str]]:
    return [
        (finding.level, finding.message, finding.action)
        for finding in check_mail(with_ses(*arguments, **named))
    ]


def test_nothing_is_asked_without_a_sender() -> None:
    assert list(check_mail(deployment(CONFIG))) == []


def test_verified_address() -> None:
    address = {"created": "shop@mail.example.com", "shop_at_mail_example_com": True}

    assert findings(MAIL, **address) == [
        (Level.OK, "SES sends 50,000 messages a day", ""),
        (Level.OK, "mail from shop@mail.example.com is verified", ""),
    ]


@pytest.mark.parametrize(
    ("state", "level", "message"),
    [
        ({"ProductionAccessEnabled": False}, Level.WARNING, "sandbox"),
        ({"SendingEnabled": False}, Level.PROBLEM, "paused"),
        ({"EnforcementStatus": "SHUTDOWN"}, Level.PROBLEM, "paused"),
        ({"EnforcementStatus": "PROBATION"}, Level.WARNING, "bounces"),
    ],
)
def test_account(state: dict[str, Any], level: Level, message: str) -> None:
    (found, text, action), *_ = findings(MAIL, HEALTHY | state)

    assert found is level
    assert message in text
    assert action


@pytest.mark.parametrize(
    ("config", "named", "level", "message", "action"),
    [
        (MAIL, {}, Level.WARNING, "no identity for shop@mail.example.com", "next deploy"),
        (DOMAIN, {}, Level.WARNING, "no identity for example.com yet", "next deploy"),
        (
            MAIL,
            {"created": "shop@mail.example.com", "shop_at_mail_example_com": False},
            Level.PROBLEM,
            "shop@mail.example.com is not verified",
            "Open the link",
        ),
        (
            DOMAIN,
            {"created": "example.com", "example_com": False},
            Level.PROBLEM,
            "domain example.com is not verified",
            "dig NS example.com",
        ),
        (
            DOMAIN,
            {"example_com": True},
            Level.PROBLEM,
            "exists already",
            "MAIL_IDENTITY=existing",
        ),
        (
            DOMAIN,
            {"created": "example.com"},
            Level.PROBLEM,
            "was deleted",
            "MAIL_IDENTITY=existing",
        ),
        (
            replace(DOMAIN, mail_identity="existing"),
            {},
            Level.PROBLEM,
            "has no identity for example.com",
            "create-email-identity --email-identity example.com",
        ),
        (
            replace(MAIL, mail_identity="existing"),
            {"example_com": True},
            Level.OK,
            "mail from example.com is verified",
            "",
        ),
    ],
)
def test_identity(
    config: Config, named: dict[str, Any], level: Level, message: str, action: str
) -> None:
    *_, (found, text, remedy) = findings(config, **named)

    assert found is level
    assert message in text
    assert action in remedy


def test_identities_are_the_address_and_its_domains() -> None:
    assert identities(MAIL) == ["shop@mail.example.com", "mail.example.com", "example.com"]


@pytest.mark.parametrize(
    ("verified", "address"),
    [
        ({"shop_at_mail_example_com": False}, "shop@mail.example.com"),
        ({"shop_at_mail_example_com": True}, None),
        ({"example_com": False}, None),
        ({}, None),
    ],
)
def test_deploy_names_an_address_with_an_unopened_link(
    verified: dict[str, Any], address: str | None
) -> None:
    assert unverified_address(with_ses(MAIL, **verified)) == address


def test_deploy_does_not_need_the_permission() -> None:
    refused = FakeClient(get_email_identity=refusal("AccessDeniedException"))

    assert unverified_address(deployment(MAIL, sesv2=refused)) is None


@pytest.mark.parametrize(
    ("zone", "levels"),
    [
        ("example.com.", [Level.OK]),
        ("www.example.com.", [Level.OK, Level.PROBLEM]),
    ],
)
def test_domain_of_the_sender_is_in_the_zone(zone: str, levels: list[Level]) -> None:
    route53 = FakeClient(get_hosted_zone={"HostedZone": {"Name": zone}})

    assert [each.level for each in check_domain(deployment(DOMAIN, route53=route53))] == levels
    existing = replace(DOMAIN, mail_identity="existing")
    assert [each.level for each in check_domain(deployment(existing, route53=route53))] == [
        Level.OK
    ]
