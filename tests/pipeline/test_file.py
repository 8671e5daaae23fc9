"""`.gitlab-ci.yml` as GitLab reads it: the jobs of a branch, and their keywords.

Listing the jobs also validates the file against GitLab's schema, and every reference in it.
"""

import re

from awscdk.config import Config
from tests.cloud.checkout import ROOT
from tests.pipeline.gitlab import Job, Repository

FILE = (ROOT / ".gitlab-ci.yml").read_text()
COMMANDS = ("migrate", "createsuperuser", "collectstatic", "command")


def commands(environment: str, name: str) -> list[Job]:
    return [Job(f"{command}:{environment}", "manage", "manual", name, "[]") for command in COMMANDS]


def test_jobs_of_the_default_branch(repository: Repository) -> None:
    dev, prod = commands("dev", "dev"), commands("prod", "prod")
    assert repository.jobs("main") == [
        Job("test", "check", "on_success", "", ""),
        Job("layer", "build", "on_success", "", "[]"),
        Job("deploy:dev", "deploy", "on_success", "dev", "[test,layer]"),
        Job("deploy:prod", "deploy", "manual", "prod", "[deploy:dev,layer]"),
        *(job for pair in zip(dev, prod, strict=True) for job in pair),
    ]


def test_jobs_of_another_branch(repository: Repository) -> None:
    assert repository.jobs("feature/Search-#12") == [
        Job("test", "check", "on_success", "", ""),
        Job("layer", "build", "on_success", "", "[]"),
        Job("deploy:review", "deploy", "manual", "review/feature-search-12", "[layer]"),
        Job("stop:review", "deploy", "manual", "review/feature-search-12", "[]"),
        *commands("review", "review/feature-search-12"),
    ]


def test_keywords_that_gitlab_ci_local_ignores(repository: Repository) -> None:
    """Tokens, resource groups, caches and the end of environments."""
    jobs = {name: job for name, job in repository.merged().items() if "script" in job}
    in_aws = {name: job for name, job in jobs.items() if "environment" in job}
    queued = {name: job for name, job in in_aws.items() if "resource_group" in job}
    review = "review/$CI_COMMIT_REF_SLUG"
    names = {"dev": "dev", "prod": "prod", "review": review}

    assert jobs.keys() - in_aws.keys() == {"test", "layer"}
    assert {job["cache"][0]["policy"] for job in in_aws.values()} == {"pull"}
    assert jobs["layer"]["cache"][0]["policy"] == "pull-push"
    for job in jobs.values():
        [cache] = job["cache"]
        assert "$CI_COMMIT_REF_PROTECTED" in cache["key"]["prefix"]
    for job in in_aws.values():
        assert job["id_tokens"] == {"AWS_ID_TOKEN": {"aud": "$CI_SERVER_URL"}}
        assert job["variables"]["ENVIRONMENT"] == "$CI_ENVIRONMENT_SLUG"
    assert {name: job["resource_group"] for name, job in queued.items()} == {
        "deploy:dev": "dev",
        "deploy:prod": "prod",
        "deploy:review": review,
        "stop:review": review,
    }
    ends = {"on_stop": "stop:review", "auto_stop_in": "1 week"}
    assert {name: job["environment"] for name, job in in_aws.items()} == {
        "deploy:dev": {"name": "dev", "url": "$SITE_URL"},
        "deploy:prod": {"name": "prod", "url": "$SITE_URL"},
        "deploy:review": {"name": review, "url": "$SITE_URL"} | ends,
        "stop:review": {"name": review, "action": "stop"},
    } | {
        f"{command}:{environment}": {"name": name, "action": "access"}
        for command in COMMANDS
        for environment, name in names.items()
    }


def test_longest_name_of_an_environment_can_be_deployed() -> None:
    slug = 24  # https://docs.gitlab.com/ci/variables/predefined_variables/, CI_ENVIRONMENT_SLUG

    config = Config(app_name="a" * 24, environment="e" * slug, aws_default_region="eu-west-1")

    assert Config.from_environment(
        {
            "APP_NAME": config.app_name,
            "ENVIRONMENT": config.environment,
            "AWS_DEFAULT_REGION": config.aws_default_region,
        }
    ) == config  # fmt: skip
    assert len(config.django_function_name) == 64


def test_image_is_pinned_to_the_projects_python() -> None:
    [image] = re.findall(r"image: (.*)", FILE)
    python = (ROOT / ".python-version").read_text().strip()

    assert re.fullmatch(rf"python:{re.escape(python)}\.\d+-[a-z]+(@sha256:[0-9a-f]{{64}})?", image)


def test_every_job_is_documented(repository: Repository) -> None:
    page = (ROOT / "docs" / "how-to" / "gitlab.md").read_text()
    jobs = {job.name for branch in ("main", "other") for job in repository.jobs(branch)}

    assert jobs
    assert {job for job in jobs if f"`{job}`" not in page} == set()
