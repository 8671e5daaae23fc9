"""The stack's support for `djambda manage`: at most one start, and output that expires."""

from collections.abc import Callable

import pytest

from djambda_common.names import ASYNC_START_SECONDS
from tests.synth.conftest import CONFIGURATIONS, Template, only, resources

type Templates = Callable[[str], Template]


def allowed(template: Template, objects: str) -> dict[str, set[str]]:
    """Return each role's actions on those objects of the bucket, by the name of its policy."""
    actions_of: dict[str, set[str]] = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Policy":
            continue
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            if f"/{objects}" in str(statement["Resource"]):
                actions = statement["Action"]
                role = name.partition("Role")[0]
                actions_of.setdefault(role, set()).update(
                    actions if isinstance(actions, list) else [actions]
                )
    return actions_of


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_command_is_started_once_within_the_limit(template: Templates, name: str) -> None:
    [settings] = [
        config
        for config in resources(template(name), "AWS::Lambda::EventInvokeConfig")
        if "ReleaseLive" in str(config["Qualifier"])
    ]

    assert settings["MaximumRetryAttempts"] == 0
    assert settings["MaximumEventAgeInSeconds"] == ASYNC_START_SECONDS


def test_output_is_deleted_after_a_week(template: Templates) -> None:
    rules = only(template("default"), "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]

    assert {"ExpirationInDays": 7, "Prefix": "runs/", "Status": "Enabled"} in rules


def test_only_django_writes_output_and_no_function_reads_it(template: Templates) -> None:
    assert allowed(template("default"), "runs/*") == {"Django": {"s3:PutObject"}}
    assert allowed(template("ephemeral"), "runs/*") == {"Django": {"s3:PutObject"}}
