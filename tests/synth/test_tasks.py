"""The resources of background tasks, which only projects with tasks have."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks

from awscdk.project_file import ProjectFile
from awscdk.stack import DjambdaStack
from tests.synth.conftest import CONFIGURATIONS, PROJECT, Template, new_app, only, resources
from tests.synth.test_checks import CFN_LINT, IGNORED
from tests.synth.test_schedules import named
from tests.synth.test_stack import FREE_WHILE_IDLE, functions, statements


def synthesize(backend: str, layer: Path, folder: Path) -> Template:
    """Synthesize an ephemeral deployment of a project with tasks, checked by cdk-nag."""
    app = new_app(folder)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    project = replace(PROJECT, layer=layer, file=ProjectFile(tasks=backend))
    DjambdaStack(app, replace(CONFIGURATIONS["default"], ephemeral=True), project=project)
    app.synth()
    [file] = folder.glob("*.template.json")
    parsed: Template = json.loads(file.read_text())
    return parsed


@pytest.fixture(scope="module")
def queue(layer: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    return synthesize("queue", layer, tmp_path_factory.mktemp("queue"))


@pytest.fixture(scope="module")
def tasks(layer: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    return synthesize("direct", layer, tmp_path_factory.mktemp("tasks"))


def aliases(template: Template) -> dict[str, Any]:
    return {alias["Name"]: alias for alias in resources(template, "AWS::Lambda::Alias")}


def test_nothing_is_billed_by_the_hour_while_idle(tasks: Template) -> None:
    kinds = {resource["Type"] for resource in tasks["Resources"].values()}

    assert kinds <= FREE_WHILE_IDLE.keys() | {
        "AWS::Scheduler::ScheduleGroup",
        "Custom::EmptiedBucket",
    }


def test_the_alias_moves_after_the_release_and_before_the_site(tasks: Template) -> None:
    """The live version enqueues tasks that the version before may not have."""
    both = aliases(tasks)
    ids = {
        each["Properties"]["Name"]: id_ for id_, each in named(tasks, "AWS::Lambda::Alias").items()
    }
    [release] = named(tasks, "Custom::DjangoRelease")

    assert both["tasks"]["FunctionVersion"] == both["live"]["FunctionVersion"]
    assert release in tasks["Resources"][ids["tasks"]]["DependsOn"]
    assert ids["tasks"] in tasks["Resources"][ids["live"]]["DependsOn"]


def test_lambda_retries_tasks_but_not_management_commands(tasks: Template) -> None:
    settings = resources(tasks, "AWS::Lambda::EventInvokeConfig")
    [of_tasks] = [each for each in settings if "DestinationConfig" in each]
    [of_live] = [each for each in settings if each.get("MaximumEventAgeInSeconds") == 300]

    assert of_tasks["MaximumRetryAttempts"] == 2
    assert of_tasks["MaximumEventAgeInSeconds"] == 21_600
    assert of_tasks["DestinationConfig"]["OnFailure"]["Destination"]
    assert of_live["MaximumRetryAttempts"] == 0


@pytest.mark.parametrize("name", ["tasks", "queue"])
def test_retries_are_set_after_the_alias_exists(request: pytest.FixtureRequest, name: str) -> None:
    template = request.getfixturevalue(name)
    [alias] = [
        id_
        for id_, each in named(template, "AWS::Lambda::Alias").items()
        if each["Properties"]["Name"] == "tasks"
    ]
    [of_tasks] = [
        each
        for each in named(template, "AWS::Lambda::EventInvokeConfig").values()
        if each["Properties"]["Qualifier"] == "tasks"
    ]

    assert alias in of_tasks["DependsOn"]


@pytest.mark.parametrize("name", ["tasks", "queue"])
def test_tasks_for_later_are_sent_to_the_alias(request: pytest.FixtureRequest, name: str) -> None:
    """Else a change of the backend would lose those that exist."""
    template = request.getfixturevalue(name)
    variables = functions(template)["djambda-lambda"]["Environment"]["Variables"]
    [policy] = [
        policy
        for policy in resources(template, "AWS::IAM::Policy")
        if policy["PolicyName"].startswith("TasksSender")
    ]
    [statement] = policy["PolicyDocument"]["Statement"]

    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Resource"] == variables["DJAMBDA_TASKS_TARGET"]
    assert "djambda-lambda:tasks" in json.dumps(statement["Resource"])


def test_django_may_invoke_the_alias_for_tasks_and_the_destination_only(tasks: Template) -> None:
    invocations = [
        json.dumps(statement["Resource"])
        for statement in statements_of_django(tasks)
        if statement["Action"] == "lambda:InvokeFunction"
    ]

    [resource] = invocations
    assert "djambda-lambda:tasks" in resource
    assert "TasksFailed" in resource
    assert "*" not in resource


def may_delete_everything(template: Template) -> bool:
    """Return whether the function that empties the bucket may delete every object."""
    [bucket] = named(template, "AWS::S3::Bucket")
    [deleting] = [
        statement for statement in statements(template) if statement["Action"] == "s3:DeleteObject"
    ]
    everything = {"Fn::Join": ["", [{"Fn::GetAtt": [bucket, "Arn"]}, "/*"]]}
    return bool(deleting["Resource"] == everything)


def test_records_expire_and_are_deleted_with_an_ephemeral_stack(
    tasks: Template, template: Any
) -> None:
    rules = only(tasks, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]

    assert {"ExpirationInDays": 30, "Prefix": "tasks/", "Status": "Enabled"} in rules
    assert may_delete_everything(tasks)
    # Or the stack could not be deleted after the project has stopped using tasks.
    assert may_delete_everything(template("ephemeral"))


def test_the_function_knows_the_backend(tasks: Template) -> None:
    variables = functions(tasks)["djambda-lambda"]["Environment"]["Variables"]

    assert variables["DJAMBDA_TASKS"] == "direct"


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_project_without_tasks_has_none_of_it(template: Any, name: str) -> None:
    text = json.dumps(template(name))

    assert not [
        word for word in (":tasks", "tasks/", "DJAMBDA_TASKS", "FailedTasks") if word in text
    ]
    assert aliases(template(name)).keys() == {"live"}


def statements_of_django(template: Template) -> list[dict[str, Any]]:
    [role, _] = functions(template)["djambda-lambda"]["Role"]["Fn::GetAtt"]
    return [
        statement
        for policy in resources(template, "AWS::IAM::Policy")
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def test_django_passes_only_the_senders_role_and_only_to_scheduler(tasks: Template) -> None:
    [passing] = [each for each in statements_of_django(tasks) if each["Action"] == "iam:PassRole"]

    assert "TasksSender" in json.dumps(passing["Resource"])
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}
    }


def test_queue_has_a_dead_letter_queue_and_time_for_the_function(queue: Template) -> None:
    [of_tasks] = [each for each in resources(queue, "AWS::SQS::Queue") if "RedrivePolicy" in each]
    timeout = functions(queue)["djambda-lambda"]["Timeout"]

    assert of_tasks["VisibilityTimeout"] == 6 * timeout
    assert of_tasks["RedrivePolicy"]["maxReceiveCount"] == 10


def test_workers_of_the_queue_are_limited_and_run_the_live_version(queue: Template) -> None:
    mapping = only(queue, "AWS::Lambda::EventSourceMapping")

    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 5}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == 1
    assert "TasksAlias" in json.dumps(mapping["FunctionName"])


def test_direct_backend_has_no_queue(tasks: Template) -> None:
    assert resources(tasks, "AWS::SQS::Queue") == []


@pytest.mark.parametrize("name", ["tasks", "queue"])
def test_cfn_lint_finds_nothing(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    file = tmp_path / "template.json"
    file.write_text(json.dumps(request.getfixturevalue(name)))

    completed = subprocess.run(
        [CFN_LINT, "--ignore-checks", *IGNORED, "--template", file],
        capture_output=True,
        text=True,
        check=False,
    )

    assert completed.stdout + completed.stderr == ""
