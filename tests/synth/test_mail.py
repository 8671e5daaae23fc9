"""The identity of MAIL_FROM in SES, its records, and who may send from it."""

from dataclasses import replace
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import pytest
from aws_cdk import App, Environment, Stack, assertions
from aws_cdk import aws_iam as iam
from constructs import Construct

from awscdk.config import Config
from awscdk.django_function import DjangoFunction
from awscdk.mail import Mail
from awscdk.readers import Mailbox
from tests.synth.conftest import Template, resources

SITE = Config(
    *("mysite", "prod", "us-east-1"), domain_name="www.example.com", hosted_zone_id="Z2FDTNDATAQYW2"
)
WITHOUT_DOMAIN = Config("mysite", "prod", "us-east-1")


@cache
def synthesize(config: Config, address: str = "shop@example.com") -> Template:
    """Return the template of a stack with a role that sends mail."""
    context = {"@aws-cdk/core:enablePartitionLiterals": True}
    environment = Environment(region="us-east-1", account="123456789012")
    stack = Stack(App(context=context), "Test", env=environment)
    role = iam.Role(stack, "Role", assumed_by=iam.AnyPrincipal())
    sender = Mailbox(address)
    django: Any = SimpleNamespace(role=role, function=Construct(stack, "Function"))
    django.allow = partial(DjangoFunction.allow, django)
    Mail(stack, "Mail", replace(config, mail_from=sender), sender=sender).grant_send(django)
    return dict(assertions.Template.from_stack(stack).to_json())


def records(template: Template) -> dict[str, list[Any]]:
    """Return the names of the records in the hosted zone by their types."""
    found: dict[str, list[Any]] = {}
    for record in resources(template, "AWS::Route53::RecordSet"):
        found.setdefault(record["Type"], []).append(record)
    return found


def policy(template: Template) -> dict[str, Any]:
    [document] = resources(template, "AWS::IAM::Policy")
    [statement] = document["PolicyDocument"]["Statement"]
    assert isinstance(statement, dict)
    return statement


@pytest.mark.parametrize(
    ("domain", "verifiable"),
    [
        *(("www.example.com", True), ("example.com", True), ("mail.www.example.com", True)),
        *(("mail.example.com", False), ("ww.example.com", False), ("example.org", False)),
        *(("www.example.com.evil.org", False), ("xample.com", False), ("ww.www.example.co", False)),
    ],
)
def test_domain_is_verified_if_the_sites_zone_can_have_its_records(
    domain: str, verifiable: bool
) -> None:
    sender = Mailbox(f"shop@{domain}")

    assert replace(SITE, mail_from=sender).mail_domain == (domain if verifiable else None)
    assert replace(WITHOUT_DOMAIN, mail_from=sender).mail_domain is None


def test_domain_has_records_for_dkim_and_spf() -> None:
    template = synthesize(SITE)

    [identity] = resources(template, "AWS::SES::EmailIdentity")
    assert identity["EmailIdentity"] == "example.com"
    bounces = identity["MailFromAttributes"]["MailFromDomain"]
    assert bounces == "djambda-bounces-us-east-1.example.com"
    found = records(template)
    assert {kind: len(each) for kind, each in found.items()} == {"CNAME": 3, "MX": 1, "TXT": 1}
    [mx], [txt] = found["MX"], found["TXT"]
    assert mx["Name"] == txt["Name"] == f"{bounces}."
    assert mx["ResourceRecords"] == ["10 feedback-smtp.us-east-1.amazonses.com"]
    assert "v=spf1 include:amazonses.com" in txt["ResourceRecords"][0]


def test_records_of_the_domain_itself_are_not_touched() -> None:
    names = [str(record["Name"]) for each in records(synthesize(SITE)).values() for record in each]

    assert "example.com." not in names
    assert not any("_dmarc" in name for name in names)


def test_address_is_verified_without_a_domain() -> None:
    template = synthesize(WITHOUT_DOMAIN)

    [identity] = resources(template, "AWS::SES::EmailIdentity")
    assert identity["EmailIdentity"] == "shop@example.com"
    assert records(template) == {}


@pytest.mark.parametrize("config", [SITE, WITHOUT_DOMAIN])
@pytest.mark.parametrize("choice", [{"mail_identity": "existing"}, {"ephemeral": True}], ids=str)
def test_existing_identity_is_only_used(config: Config, choice: dict[str, Any]) -> None:
    template = synthesize(replace(config, **choice))

    assert {each["Type"] for each in template["Resources"].values()} == {
        *("AWS::IAM::Role", "AWS::IAM::Policy")
    }


@pytest.mark.parametrize(("ephemeral", "deletion"), [(True, None), (False, "RetainExceptOnCreate")])
def test_identity_is_kept_for_other_deployments_unless_ephemeral(
    ephemeral: bool, deletion: str | None
) -> None:
    template = synthesize(replace(SITE, ephemeral=ephemeral, mail_identity="create"))
    kinds = ("AWS::SES::EmailIdentity", "AWS::Route53::RecordSet")
    kept = [each for each in template["Resources"].values() if each["Type"] in kinds]

    assert {each.get("DeletionPolicy") for each in kept} == {deletion}


@pytest.mark.parametrize(
    ("config", "address", "senders"),
    [
        (SITE, "shop@example.com", "*@example.com"),
        (SITE, "shop@example.org", "shop@example.org"),
        (WITHOUT_DOMAIN, "shop@example.com", "shop@example.com"),
    ],
)
@pytest.mark.parametrize("identity", ["create", "existing"])
def test_role_may_send_from_the_sender_only(
    config: Config, address: str, senders: str, identity: str
) -> None:
    statement = policy(synthesize(replace(config, mail_identity=identity), address))

    assert statement["Action"] == ["ses:SendEmail", "ses:SendRawEmail"]
    assert statement["Condition"] == {"StringLike": {"ses:FromAddress": senders}}
    assert "*" not in statement["Resource"]
