"""The jobs themselves, against the local cloud: as GitLab runs them, with a token and no keys.

boto3 reports each of their calls (client-side monitoring, a datagram for each), and the last test
looks whether the roles in docs/pipeline.md may make them.
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
from tests.cloud.local import ROOT, Cloud
from tests.pipeline.gitlab import Outcome, Repository

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
"""IAM's names for services of which boto3 reports calls. Those of STS need no permission."""
ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
}
"""Where an action is not named as the call that needs it."""


@pytest.fixture(scope="session")
def monitor() -> Iterator[tuple[Calls, int]]:
    """The actions that each job has needed so far, and the port for its reports.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-csm.html
    """
    calls: dict[str, set[str]] = defaultdict(set)

    def listen() -> None:
        while report := heard.recv(65_535):
            said = json.loads(report)
            if said["Service"] != "STS":
                action = f"{IAM[said['Service']]}:{said['Api']}"
                calls[said["ClientId"]].add(ACTIONS.get(action, action))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        port = heard.getsockname()[1]
        listening = Thread(target=listen)
        listening.start()
        yield calls, port
        heard.sendto(b"", ("127.0.0.1", port))
        listening.join()


@pytest.fixture(scope="session")
def variables(cloud: Cloud, repository: Repository, monitor: tuple[Calls, int]) -> dict[str, str]:
    """What a project on GitLab has, and the token that each job gets."""
    local = LocalCloud(cloud.folder)
    return {
        name: value
        for name, value in local.variables(local.require_running()).items()
        if name not in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ENVIRONMENT"}
    } | {
        "ENVIRONMENT@dev": "local",  # What the session's cloud has is our dev.
        "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/gitlab",
        "AWS_ID_TOKEN": "header.claims.signature",
        "CI_REPOSITORY_URL": repository.url,
        "AWS_CSM_ENABLED": "true",
        "AWS_CSM_PORT": str(monitor[1]),
        "AWS_CSM_CLIENT_ID": "$CI_JOB_NAME",
    }


@pytest.fixture(scope="session")
def layer(repository: Repository, variables: Mapping[str, str]) -> Outcome:
    """The layer's job has run: its artifact is there for others."""
    return repository.run("main", "layer", variables=variables)


def stacks(cloud: Cloud) -> dict[str, str]:
    found = cloud.call("cloudformation", "describe_stacks")["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in found}


def test_build_and_deploy(
    repository: Repository, variables: Mapping[str, str], layer: Outcome, cloud: Cloud
) -> None:
    assert layer.results == {"layer": "PASS"}, layer.output

    deploy = repository.run("main", "deploy:dev", variables=variables)

    assert deploy.results == {"deploy:dev": "PASS"}, deploy.output
    assert "Layer with Django's dependencies" not in deploy.output  # The artifact was taken.
    assert "header.claims.signature" not in deploy.output
    assert repository.report("deploy:dev") == {"SITE_URL": cloud.site}


@pytest.fixture
def user(cloud: Cloud) -> Iterator[str]:
    """The name of a user who does not exist yet, nor afterwards."""
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
    for said in ("No migrations to apply.", "Superuser created", "files uploaded", "$HOME * 2"):
        assert said in done.output


def test_command_that_fails_fails_its_job(
    repository: Repository, variables: Mapping[str, str]
) -> None:
    again = {**variables, "SUPERUSER_NAME": "admin", "COMMAND": "migrate no_such_app"}

    done = repository.run("main", "createsuperuser:dev", "command:dev", variables=again)

    # GitLab shows these as failed too, and lets the pipeline pass.
    assert done.results == {"createsuperuser:dev": "WARN", "command:dev": "WARN"}, done.output
    assert "That username is already taken." in done.output
    assert "No installed app with label 'no_such_app'." in done.output


def test_job_that_needs_a_variable_says_so(
    repository: Repository, variables: Mapping[str, str]
) -> None:
    done = repository.run("main", "createsuperuser:dev", "command:dev", variables=variables)

    assert done.results == {"createsuperuser:dev": "WARN", "command:dev": "WARN"}, done.output
    assert "Start this job with the variable SUPERUSER_NAME" in done.output
    assert "Start this job with the variable COMMAND" in done.output


def test_review_environment_comes_and_goes_with_its_branch(
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


def test_documented_roles_may_do_what_the_jobs_have_done(monitor: tuple[Calls, int]) -> None:
    """To be run with the others. The CDK's own calls are those of the bootstrap's roles."""
    blocks = re.findall(
        r"^```json\n(.*?)^```$",
        (ROOT / "docs" / "pipeline.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    _trust, policy, of_review = map(json.loads, blocks)
    allowed = [action for each in policy["Statement"] for action in each["Action"]]
    for job in ("deploy:dev", "command:dev", "deploy:review", "stop:review"):
        may = allowed + of_review["Action"] * job.endswith("review")
        done = monitor[0][job]

        assert done
        assert {each for each in done if not any(fnmatchcase(each, it) for it in may)} == set(), job
