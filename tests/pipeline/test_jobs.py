"""The jobs against the local cloud, as GitLab runs them: with a token and without access keys.

The last tests check that IAM would allow the calls that the jobs and the functions have made.
"""

import re
from collections.abc import Iterator, Mapping

import pytest

from djambda_cli.local.cloud import LocalCloud
from djambda_common.names import BUCKET_CLEANUP_SUFFIX, SECRETS_SUFFIX
from tests.cloud.local import Cloud
from tests.iam.calls import Call, load_recording, parameter_arn, stack_arn
from tests.iam.roles import environment_policies, review_policies
from tests.iam.simulator import DENIED, refused
from tests.pipeline.gitlab import Outcome, Repository
from tests.pipeline.sts import ROLES, TOKEN, sts_of

BRANCH = "feature/Search-#12"

FUNCTIONS = {
    BUCKET_CLEANUP_SUFFIX: {"cloudformation:DescribeStacks", "s3:DeleteObject", "s3:ListBucket"},
    SECRETS_SUFFIX: {"ssm:DeleteParameters", "ssm:PutParameter"},
}
"""The functions that delete an environment's data, and the actions that each one uses."""
FORBIDDEN = [
    ("s3:DeleteObject", "arn:aws:s3:::prod-djambda-storageassets320d2163-abcdefghijkl/media/a"),
    ("s3:ListBucket", "arn:aws:s3:::prod-djambda-storageassets320d2163-abcdefghijkl"),
    ("ssm:DeleteParameters", parameter_arn("/djambda/prod/djambda/secret-key")),
    ("cloudformation:DescribeStacks", stack_arn("prod-djambda")),
]
"""Calls to another environment."""


@pytest.fixture(scope="session")
def variables(cloud: Cloud, repository: Repository) -> Iterator[dict[str, str]]:
    """The variables of the project on GitLab, and the token of each job."""
    with sts_of(cloud) as sts:
        yield project_variables(cloud, repository) | {"AWS_ENDPOINT_URL_STS": sts}


def project_variables(cloud: Cloud, repository: Repository) -> dict[str, str]:
    """Return the project's variables: the local cloud's without its access keys."""
    local = LocalCloud(cloud.folder)
    return {
        name: value
        for name, value in local.variables(local.require_running(), cloud.variables).items()
        if name not in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ENVIRONMENT"}
    } | {
        **{f"AWS_ROLE_ARN@{environment}": role for environment, role in ROLES.items()},
        "ENVIRONMENT@dev": "local",  # The session's deployment.
        "AWS_ID_TOKEN": TOKEN,
        "CI_REPOSITORY_URL": repository.url,
    }


@pytest.fixture(scope="session")
def layer(repository: Repository, variables: Mapping[str, str]) -> Outcome:
    """The result of the layer's job, whose artifact other jobs use."""
    return repository.run("main", "layer", variables=variables)


def stacks(cloud: Cloud) -> dict[str, str]:
    listed = cloud.call("cloudformation", "describe_stacks")["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in listed}


def test_build_and_deploy(
    repository: Repository, variables: Mapping[str, str], layer: Outcome, cloud: Cloud
) -> None:
    assert layer.results == {"layer": "PASS"}, layer.output

    deploy = repository.run("main", "deploy:dev", variables=variables)

    assert deploy.results == {"deploy:dev": "PASS"}, deploy.output
    assert "Build layer" not in deploy.output  # It uses the artifact.
    assert TOKEN not in deploy.output
    assert repository.report("deploy:dev") == {"SITE_URL": cloud.site}


@pytest.fixture
def user(cloud: Cloud) -> Iterator[str]:
    """The name of a user who does not exist; the test may create it."""
    name = "pipeline"
    yield name
    cloud.manage(["shell", "-c", f"User.objects.filter(username='{name}').delete()"])


def test_management_commands(
    repository: Repository, variables: Mapping[str, str], user: str
) -> None:
    done = repository.run(
        "main",
        *("migrate:dev", "createsuperuser:dev", "collectstatic:dev", "command:dev"),
        variables={
            **variables,
            "SUPERUSER_NAME": user,
            "SUPERUSER_EMAIL": "pipeline@example.com",
            "COMMAND": """shell -v 0 -c 'print("$$HOME", "*", 1 + 1)'""",
        },
    )

    assert set(done.results.values()) == {"PASS"}, done.output
    assert len(done.results) == 4
    for line in ("No migrations to apply.", "Superuser created", "files uploaded", "$HOME * 2"):
        assert line in done.output


def test_failing_command_fails_its_job(
    repository: Repository, variables: Mapping[str, str]
) -> None:
    again = {**variables, "SUPERUSER_NAME": "admin", "COMMAND": "migrate no_such_app"}

    done = repository.run("main", "createsuperuser:dev", "command:dev", variables=again)

    # GitLab shows these as failed, too, but the pipeline passes.
    assert done.results == {"createsuperuser:dev": "WARN", "command:dev": "WARN"}, done.output
    assert "That username is already taken." in done.output
    assert "No installed app with label 'no_such_app'." in done.output


def test_job_without_its_variable_names_it(
    repository: Repository, variables: Mapping[str, str]
) -> None:
    done = repository.run("main", "createsuperuser:dev", "command:dev", variables=variables)

    assert done.results == {"createsuperuser:dev": "WARN", "command:dev": "WARN"}, done.output
    assert "variable SUPERUSER_NAME" in done.output
    assert "variable COMMAND" in done.output


def test_review_environment_is_deployed_and_destroyed(
    repository: Repository, variables: Mapping[str, str], layer: Outcome, cloud: Cloud
) -> None:
    assert layer.results == {"layer": "PASS"}, layer.output
    before = stacks(cloud)
    deploy = repository.run(BRANCH, "deploy:review", variables=variables)
    try:
        assert deploy.results == {"deploy:review": "PASS"}, deploy.output
        [stack] = stacks(cloud).keys() - before.keys()
        assert re.fullmatch(r"review-feature-se-[a-z0-9]{6}-djambda", stack)
        assert repository.report("deploy:review")["SITE_URL"] != cloud.site
    finally:
        stop = repository.run(BRANCH, "stop:review", variables=variables)

    assert stop.results == {"stop:review": "PASS"}, stop.output
    assert stacks(cloud) == before


def test_documented_policies_allow_the_jobs_calls(cloud: Cloud) -> None:
    """Needs the calls of the other tests. The CDK itself uses the roles of its bootstrap."""
    recording = load_recording(cloud.folder)
    local, review = environment_policies("local", "djambda"), review_policies("djambda")
    for role, policies, actions in (
        ("gitlab-dev", [local["Deploy"], local["Operate"]], {"lambda:InvokeFunction"}),
        (
            "gitlab-review",
            [review["Deploy"], review["Operate"], review["Destroy"]],
            {"cloudformation:DeleteStack", "lambda:TagResource", "ssm:GetParametersByPath"},
        ),
    ):
        calls = [call for call in recording.calls if call.role == role]

        assert {call.action for call in calls} >= actions
        assert refused(calls, *policies) == {}


def test_functions_may_delete_the_data_of_an_environment(cloud: Cloud) -> None:
    """Needs the calls of the test of a review environment, too."""
    recording = load_recording(cloud.folder)
    for suffix, actions in FUNCTIONS.items():
        calls = [
            call
            for call in recording.calls
            if re.fullmatch(f"review-feature-se-[a-z0-9]{{6}}-djambda{suffix}", call.session)
        ]

        assert {call.action for call in calls} >= actions
        policies = recording.policies[calls[0].role]
        assert refused(calls, *policies) == {}
        others = [Call(calls[0].principal, action, resource) for action, resource in FORBIDDEN]
        assert refused(others, *policies) == dict.fromkeys(others, DENIED)
