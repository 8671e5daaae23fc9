"""What `djambda manage` needs of the stack: one start at most, and a folder that empties itself."""

from collections.abc import Callable

import pytest

from djambda_cli.commands.manage import START_LIMIT
from tests.synth.conftest import CONFIGURATIONS, Template, only, resources

type Templates = Callable[[str], Template]


def allowed(template: Template, objects: str) -> dict[str, set[str]]:
    """What each role may do with those objects of the bucket, by the name of its policy."""
    found: dict[str, set[str]] = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Policy":
            continue
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            if f"/{objects}" in str(statement["Resource"]):
                actions = statement["Action"]
                role = name.partition("Role")[0]
                found.setdefault(role, set()).update(
                    actions if isinstance(actions, list) else [actions]
                )
    return found


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_command_is_started_once_and_soon_or_never(template: Templates, name: str) -> None:
    [settings] = [
        each
        for each in resources(template(name), "AWS::Lambda::EventInvokeConfig")
        if "ReleaseLive" in str(each["Qualifier"])
    ]

    assert settings["MaximumRetryAttempts"] == 0
    assert settings["MaximumEventAgeInSeconds"] == START_LIMIT.total_seconds()


def test_output_is_deleted_after_a_week(template: Templates) -> None:
    rules = only(template("default"), "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]

    assert {"ExpirationInDays": 7, "Prefix": "runs/", "Status": "Enabled"} in rules


def test_django_writes_output_and_no_function_reads_it(template: Templates) -> None:
    assert allowed(template("default"), "runs/*") == {"Django": {"s3:PutObject"}}
    assert allowed(template("ephemeral"), "runs/*") == {
        "Django": {"s3:PutObject"},
        "StorageEmptier": {"s3:DeleteObject"},
    }
