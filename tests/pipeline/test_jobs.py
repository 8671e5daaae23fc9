"""The jobs themselves, against the local cloud: as GitLab runs them, with a token and no keys."""

import re
from collections.abc import Iterator, Mapping

import pytest

from djambda_cli.local_cloud import LocalCloud
from tests.cloud.local import Cloud
from tests.pipeline.gitlab import Outcome, Repository

BRANCH = "feature/Search-#12"


@pytest.fixture(scope="session")
def variables(cloud: Cloud, repository: Repository) -> dict[str, str]:
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
    url = repository.report("deploy:dev")["SITE_URL"]
    assert re.fullmatch(r"https://\w+\.execute-api\.us-east-1\.amazonaws\.com/prod/", url)
    assert LocalCloud(cloud.folder).site_url(url) == cloud.site


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
