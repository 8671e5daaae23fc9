"""The stack's schedules: they invoke the live version, and only after its release."""

import json
from collections.abc import Callable
from typing import Any

from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Template as Assertions

from awscdk.project_schedules import ProjectSchedule
from awscdk.schedules import Schedules
from tests.synth.conftest import CONFIGURATIONS, Template, only, resources

type Templates = Callable[[str], Template]

SCHEDULE = "AWS::Scheduler::Schedule"
GROUP = "AWS::Scheduler::ScheduleGroup"


def named(template: Template, kind: str) -> dict[str, Any]:
    """Return the resources of a type by their logical IDs."""
    return {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def referenced(value: Any) -> set[str]:
    """Return the logical IDs in a value, of references and attributes."""
    if isinstance(value, dict):
        if "Ref" in value:
            return {value["Ref"]}
        if "Fn::GetAtt" in value:
            return {value["Fn::GetAtt"][0]}
        return set().union(*map(referenced, value.values()))
    if isinstance(value, list):
        return set().union(*map(referenced, value))
    return set()


def test_project_without_schedules_has_nothing_of_them(template: Templates) -> None:
    assert "chedule" not in json.dumps(template("default"))


def test_schedules_have_the_expressions_of_the_project(template: Templates) -> None:
    clear, close = resources(template("everything"), SCHEDULE)

    assert (clear["Name"], clear["ScheduleExpression"], clear["ScheduleExpressionTimezone"]) == (
        "clear",
        "cron(0 3 * * ? *)",
        "Europe/Warsaw",
    )
    assert (close["Name"], close["ScheduleExpression"], close["ScheduleExpressionTimezone"]) == (
        "close-polls",
        "rate(15 minutes)",
        "UTC",
    )
    assert clear["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert only(template("everything"), GROUP)["Name"] == "prod-mysite"
    assert template("everything")["Outputs"]["ScheduleNames"]["Value"] == "clear close-polls"


def test_schedules_can_have_the_names_of_other_constructs() -> None:
    """Such as those of the group and the role, in any position."""
    stack = Stack(App(), "Test")
    function = lambda_.Function(
        stack,
        "Function",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="x.y",
        code=lambda_.Code.from_inline("pass"),
    )
    names = ["Role", "Group", "Default", "Resource", "Schedule-Role", "Schedule_Role", "role"]

    Schedules(
        stack,
        "Schedules",
        CONFIGURATIONS["default"],
        function=function,
        alias=function.add_alias("live"),
        schedules=[ProjectSchedule(name, "rate(1 day)", run="check") for name in names],
    )

    template = dict(Assertions.from_stack(stack).to_json())
    assert [each["Name"] for each in resources(template, SCHEDULE)] == names


def test_input_names_the_command_and_the_scheduled_time(template: Templates) -> None:
    clear, close = resources(template("everything"), SCHEDULE)

    assert json.loads(clear["Target"]["Input"]) == {
        "schedule": "clear",
        "manage": "clearsessions",
        "time": "<aws.scheduler.scheduled-time>",
    }
    assert json.loads(close["Target"]["Input"])["manage"] == "enqueue_task polls.tasks.close_polls"


def test_schedule_waits_for_the_live_alias_and_for_its_permission(template: Templates) -> None:
    [alias] = (
        name
        for name, resource in named(template("everything"), "AWS::Lambda::Alias").items()
        if resource["Properties"]["Name"] == "live"
    )
    [group] = named(template("everything"), GROUP)
    policies = named(template("everything"), "AWS::IAM::Policy")
    for schedule in named(template("everything"), SCHEDULE).values():
        target = schedule["Properties"]["Target"]
        assert target["Arn"] == {"Ref": alias}
        assert schedule["Properties"]["GroupName"] == {"Ref": group}
        [role] = referenced(target["RoleArn"])
        [policy] = (
            name for name, each in policies.items() if role in referenced(each["Properties"])
        )
        assert policy in schedule["DependsOn"]
        # The policy must be in place before the alias, and so before the first run.
        assert alias not in referenced(policies[policy])


def test_only_the_schedules_of_the_stack_can_assume_the_role(template: Templates) -> None:
    [schedule, _] = resources(template("everything"), SCHEDULE)
    [role] = referenced(schedule["Target"]["RoleArn"])
    [group] = named(template("everything"), GROUP)
    trust = template("everything")["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]

    [statement] = trust["Statement"]

    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [group, "Arn"]}},
    }


def test_records_are_deleted_with_an_ephemeral_bucket(template: Templates) -> None:
    statements = [
        statement
        for policy in resources(template("ephemeral"), "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    allowed = {
        action
        for statement in statements
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
        if "/schedules/*" in json.dumps(statement["Resource"])
    }

    assert allowed == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
