"""The pipeline that `djambda init --gitlab` writes for a project's own repository."""

from collections.abc import Mapping

import pytest

from djambda_cli.project import pipeline
from tests.cloud.checkout import ROOT
from tests.cloud.local import Cloud
from tests.pipeline.gitlab import Repository, git
from tests.pipeline.test_jobs import BRANCH, stacks, variables  # noqa: F401 (a fixture)
from tests.synth.test_discovery import MANAGE

SETTINGS = """
SECRET_KEY = "not-used"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
ROOT_URLCONF = "shop.urls"
STATIC_URL = "static/"
"""
URLS = """
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse("Hello"))]
"""


@pytest.fixture(scope="module")
def own(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The repository of a project that uses this version of djambda."""
    folder = tmp_path_factory.mktemp("own") / "shop"
    for name, content in {
        "manage.py": MANAGE.format(settings="shop.settings"),
        "shop/__init__.py": "",
        "shop/settings.py": SETTINGS,
        "shop/urls.py": URLS,
        "requirements.txt": (ROOT / "django" / "requirements.txt").read_text(),
        ".gitlab-ci.yml": pipeline.render(f"djambda @ file://{repository.folder}"),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "config", "user.name", "Ann")
    git(folder, "config", "user.email", "ann@example.com")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Start")
    git(folder, "remote", "add", "origin", "https://gitlab.example.com/ann/shop.git")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(folder, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    return Repository(folder, str(folder))


@pytest.mark.parametrize("branch", ["main", BRANCH])
def test_jobs_are_those_of_the_repository_of_djambda(
    own: Repository, repository: Repository, branch: str
) -> None:
    assert own.jobs(branch) == repository.jobs(branch)


def test_jobs_do_not_need_a_checkout(own: Repository) -> None:
    merged = str(own.merged())

    assert [text for text in ("make ", ".local/", "layers/", "uv.lock") if text in merged] == []


def test_environment_of_a_branch_is_deployed_and_destroyed(
    own: Repository,
    cloud: Cloud,
    variables: Mapping[str, str],  # noqa: F811
) -> None:
    values = {**variables, "APP_NAME": "shop", "CI_REPOSITORY_URL": own.url}
    built = own.run(BRANCH, "test", "layer", variables=values)
    assert built.results == {"test": "PASS", "layer": "PASS"}, built.output
    assert "shop/urls.py" in built.output
    before = stacks(cloud)
    deploy = own.run(BRANCH, "deploy:review", variables=values)
    try:
        assert deploy.results == {"deploy:review": "PASS"}, deploy.output
        assert "Build layer" not in deploy.output
        assert own.report("deploy:review")["SITE_URL"].startswith("http")
        assert git(own.folder, "status", "--porcelain", "--untracked-files=all", "shop") == ""
    finally:
        stop = own.run(BRANCH, "stop:review", variables=values)

    assert stop.results == {"stop:review": "PASS"}, stop.output
    assert stacks(cloud) == before
