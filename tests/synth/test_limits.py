"""The largest template: limits that AWS checks during a deploy, and the emulator does not."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awscdk.config import FUNCTION_NAME_LIMIT, Config, ConfigurationError
from awscdk.project_file import ProjectFile
from awscdk.project_schedules import MAX_SCHEDULES, ProjectSchedule
from awscdk.readers import Mailbox
from awscdk.stack import DjambdaStack
from tests.synth.conftest import PROJECT, Template, new_app, resources

NAME = "a" * 24
DOMAIN = f"www.{'d' * 48}.example.com"
"""64 characters."""

TEMPLATE_BYTES, RESOURCES = 1_000_000, 500
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
GROUP_NAME, QUEUE_NAME, VARIABLES_BYTES = 64, 80, 4096
ROLE_POLICIES = 10_240
"""Characters without spaces: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
REFERENCE = "x" * 100
"""As long as an ARN or a URL that replaces a reference to a resource."""


def with_references(value: Any) -> str:
    """Return a value as text, as long as it is after CloudFormation has replaced references."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(with_references, parts))
        case {"Ref": _} | {"Fn::GetAtt": _}:
            return REFERENCE
        case dict():
            items = (f'"{key}":{with_references(each)}' for key, each in value.items())
            return f"{{{','.join(items)}}}"
        case list():
            return f"[{','.join(map(with_references, value))}]"
        case _:
            return str(value) if isinstance(value, str) else json.dumps(value)


@pytest.fixture(scope="module")
def largest(layer: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A template with all features, and names and lists that are as long as possible."""
    folder = tmp_path_factory.mktemp("largest")
    config = Config(
        *(NAME, NAME, "us-east-1"),
        domain_name=DOMAIN,
        hosted_zone_id=f"Z{'A' * 31}",
        cors_origins=tuple(f"https://{number:03}.example.com" for number in range(80)),
        egress="proxy",
        mail_from=Mailbox(f"{'s' * 64}@{DOMAIN}", "ż" * 100),
        mail_identity="create",
        django_superuser_username="u" * 150,
        ephemeral=True,
    )
    schedules = (
        ProjectSchedule(f"{number:02}{'n' * 62}", "cron(0 3 1 * ? *)", run=f"check {'x' * 1000}")
        for number in range(MAX_SCHEDULES)
    )
    file = ProjectFile(tasks="queue", schedules=tuple(schedules))
    app = new_app(folder)
    DjambdaStack(app, config, project=replace(PROJECT, layer=layer, file=file))
    app.synth()
    [path] = folder.glob("*.template.json")
    template: Template = json.loads(path.read_text())
    return template


def test_template_has_room(largest: Template) -> None:
    assert len(json.dumps(largest)) < TEMPLATE_BYTES / 2
    assert len(largest["Resources"]) < RESOURCES / 2


@pytest.mark.parametrize(
    ("kind", "name", "limit"),
    [
        ("AWS::Lambda::Function", "FunctionName", FUNCTION_NAME_LIMIT),
        ("AWS::Scheduler::ScheduleGroup", "Name", GROUP_NAME),
        ("AWS::SQS::Queue", "QueueName", QUEUE_NAME),
    ],
)
def test_names_are_short_enough(largest: Template, kind: str, name: str, limit: int) -> None:
    names = [each[name] for each in resources(largest, kind)]

    assert [each for each in names if len(each) > limit] == []


def test_names_are_as_long_as_settings_permit() -> None:
    required = {"APP_NAME": NAME, "ENVIRONMENT": NAME, "AWS_DEFAULT_REGION": "us-east-1"}
    domain = {"DOMAIN_NAME": DOMAIN, "HOSTED_ZONE_ID": "Z2FDTNDATAQYW2"}

    Config.from_environment(required | domain)

    for longer in ({"APP_NAME": f"{NAME}a"}, domain | {"DOMAIN_NAME": f"w{DOMAIN}"}):
        with pytest.raises(ConfigurationError):
            Config.from_environment(required | longer)


def test_variables_fit_into_functions(largest: Template) -> None:
    for function in resources(largest, "AWS::Lambda::Function"):
        variables = function.get("Environment", {}).get("Variables", {})
        size = sum(len(name) + len(with_references(text)) for name, text in variables.items())
        assert size < VARIABLES_BYTES, function["FunctionName"]


def test_policies_fit_into_roles(largest: Template) -> None:
    sizes: dict[str, int] = {}
    for policy in resources(largest, "AWS::IAM::Policy"):
        [role] = policy["Roles"]
        size = len(with_references(policy["PolicyDocument"]))
        sizes[role["Ref"]] = sizes.get(role["Ref"], 0) + size

    assert max(sizes.values()) < ROLE_POLICIES
