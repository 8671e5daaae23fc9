"""The jobs against the local cloud, as GitLab runs them: with a token and without access keys.

boto3 reports each call with a datagram (client-side monitoring), and the last test checks that the
documented policies allow these calls.
"""

import json
import re
import socket
from collections import defaultdict
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from threading import Thread

import pytest

from djambda_cli.local.cloud import LocalCloud
from tests.cloud.local import Cloud
from tests.pipeline.gitlab import Outcome, Repository
from tests.pipeline.sts import ROLE, TOKEN, sts_of
from tests.unit.docs.policies import documented_actions

BRANCH = "feature/Search-#12"

type Calls = Mapping[str, set[str]]

IAM = {
    "CloudFormation": "cloudformation",
    "CloudWatch Logs": "logs",
    "Lambda": "lambda",
    "RDS": "rds",
    "S3": "s3",
    "SSM": "ssm",
}
"""IAM's prefixes of the services that boto3 reports. Calls to STS need no permission."""
ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
}
"""Actions whose names differ from those of the calls that need them."""


@pytest.fixture(scope="session")
def monitor() -> Iterator[tuple[Calls, int]]:
    """The actions that each job has used so far, and the port for its reports.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-csm.html
    """
    calls: dict[str, set[str]] = defaultdict(set)

    def listen() -> None:
        while datagram := receiver.recv(65_535):
            call = json.loads(datagram)
            if call["Service"] != "STS":
                action = f"{IAM[call['Service']]}:{call['Api']}"
                calls[call["ClientId"]].add(ACTIONS.get(action, action))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        listener = Thread(target=listen)
        listener.start()
        yield calls, port
        receiver.sendto(b"", ("127.0.0.1", port))
        listener.join()


@pytest.fixture(scope="session")
def variables(
    cloud: Cloud, repository: Repository, monitor: tuple[Calls, int]
) -> Iterator[dict[str, str]]:
    """The variables of the project on GitLab, and the token of each job."""
    with sts_of(cloud) as sts:
        yield project_variables(cloud, repository, monitor[1]) | {"AWS_ENDPOINT_URL_STS": sts}


def project_variables(cloud: Cloud, repository: Repository, monitor_port: int) -> dict[str, str]:
    """Return the project's variables: the local cloud's without its access keys."""
    local = LocalCloud(cloud.folder)
    return {
        name: value
        for name, value in local.variables(local.require_running()).items()
        if name not in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ENVIRONMENT"}
    } | {
        "ENVIRONMENT@dev": "local",  # The session's deployment.
        "AWS_ROLE_ARN": ROLE,
        "AWS_ID_TOKEN": TOKEN,
        "CI_REPOSITORY_URL": repository.url,
        "AWS_CSM_ENABLED": "true",
        "AWS_CSM_PORT": str(monitor_port),
        "AWS_CSM_CLIENT_ID": "$CI_JOB_NAME",
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


def test_documented_policies_allow_the_jobs_calls(monitor: tuple[Calls, int]) -> None:
    """Needs the calls of the other tests. The CDK itself uses the roles of its bootstrap."""
    actions = documented_actions()
    for job in ("deploy:dev", "command:dev", "deploy:review", "stop:review"):
        allowed = actions["Deploy"] + actions["Destroy"] * job.endswith("review")
        used = monitor[0][job]

        assert used
        assert {
            action
            for action in used
            if not any(fnmatchcase(action, pattern) for pattern in allowed)
        } == set(), job
