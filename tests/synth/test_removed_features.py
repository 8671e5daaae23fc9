"""What CloudFormation changes before the new version is live, and deletes before the bucket.

It updates policies first, while the old version is live for as long as the release takes, and
deletes what is not in the template any more at the end.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awscdk.config import Config
from awscdk.project_file import ProjectFile
from awscdk.project_schedules import ProjectSchedule
from awscdk.readers import Mailbox
from awscdk.stack import DjambdaStack
from tests.synth.conftest import CONFIGURATIONS, PROJECT, Template, new_app
from tests.synth.test_schedules import named, referenced
from tests.synth.test_stack import as_list, functions

DEFAULT = CONFIGURATIONS["default"]
SITE = replace(
    DEFAULT, domain_name="www.example.com", hosted_zone_id="Z2FDTNDATAQYW2", egress="proxy"
)
SCHEDULE = ProjectSchedule("clear", "rate(1 day)", run="clearsessions")

DEPLOYMENTS: dict[str, tuple[Config, ProjectFile]] = {
    "all": (
        replace(SITE, mail_from=Mailbox("shop@example.com")),
        ProjectFile(tasks="queue", schedules=(SCHEDULE,)),
    ),
    "others": (
        replace(SITE, mail_from=Mailbox("shop@example.org"), ephemeral=True),
        ProjectFile(tasks="direct"),
    ),
    "none": (DEFAULT, ProjectFile()),
}


@pytest.fixture(scope="module")
def templates(layer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """The deployments' templates by their names."""
    found = {}
    for name, (config, file) in DEPLOYMENTS.items():
        folder = tmp_path_factory.mktemp(name)
        app = new_app(folder)
        DjambdaStack(app, config, project=replace(PROJECT, layer=layer, file=file))
        app.synth()
        [path] = folder.glob("*.template.json")
        found[name] = json.loads(path.read_text())
    return found


def policies_of_django(template: Template) -> dict[str, list[Any]]:
    """Return the statements of each policy of Django's role."""
    [role, _] = functions(template)["djambda-lambda"]["Role"]["Fn::GetAtt"]
    return {
        name: each["Properties"]["PolicyDocument"]["Statement"]
        for name, each in named(template, "AWS::IAM::Policy").items()
        if {"Ref": role} in each["Properties"]["Roles"]
    }


@pytest.mark.parametrize(
    ("before", "after"), [("all", "others"), ("all", "none"), ("others", "none")]
)
def test_old_version_keeps_its_permissions_until_the_new_one_is_live(
    templates: dict[str, Template], before: str, after: str
) -> None:
    old, new = policies_of_django(templates[before]), policies_of_django(templates[after])

    assert len(old) > len(new)
    for name in old.keys() & new.keys():
        assert [each for each in old[name] if each not in new[name]] == []


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_function_waits_for_its_permissions(templates: dict[str, Template], name: str) -> None:
    template = templates[name]
    [function] = [
        each
        for each in named(template, "AWS::Lambda::Function").values()
        if each["Properties"].get("FunctionName", "").endswith("-djambda-lambda")
    ]

    assert policies_of_django(template).keys() <= {*function["DependsOn"]}


def prerequisites(template: Template, name: str) -> set[str]:
    """Return what CloudFormation creates before a resource, and deletes after it."""
    found: set[str] = set()
    todo = [name]
    while todo:
        resource = template["Resources"][todo.pop()]
        direct = referenced(resource.get("Properties", {})) | {
            *as_list(resource.get("DependsOn", []))
        }
        new = {each for each in direct if each in template["Resources"]} - found
        found |= new
        todo += new
    return found


def test_nothing_can_write_to_an_ephemeral_bucket_that_was_emptied(
    templates: dict[str, Template],
) -> None:
    template = templates["others"]
    [content] = named(template, "Custom::EmptiedBucket")
    [bucket] = named(template, "AWS::S3::Bucket")
    writing = [
        name
        for name, policy in named(template, "AWS::IAM::Policy").items()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "s3:PutObject" in as_list(statement["Action"])
        and bucket in json.dumps(statement["Resource"])
    ]

    assert len({*writing}) == 3  # Files, records of tasks, and those of failed ones.
    assert [name for name in writing if content not in prerequisites(template, name)] == []
