"""A project in the style of cookiecutter-django, on Django 5.2: `tests/projects/library`.

It has a settings package, django-environ, allauth, Django REST framework, WhiteNoise, psycopg 3, a
lock of uv, users who log in with an email address, and a variable that has no default.
"""

import json
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import is_loaded
from tests.cloud.checkout import ROOT
from tests.cloud.local import HOSTILE
from tests.installed.conftest import Repository, Site, User, repository
from tests.installed.test_wagtail import png

SECRET_PATH = "office-5d1c/"


@pytest.fixture(scope="module")
def project(user: User) -> Iterator[Repository]:
    folder = user.home / "library"
    shutil.copytree(
        ROOT / "tests" / "projects" / "library",
        folder,
        ignore=shutil.ignore_patterns("__pycache__", ".djambda"),
    )
    with repository(user, folder) as project:
        yield project


@pytest.fixture(scope="module")
def site(project: Repository) -> Site:
    """The site, after a first deploy that lacked a variable."""
    user, folder = project.user, project.folder
    failed = user.run("djambda up --port 0", cwd=folder)
    assert failed.returncode == 1
    assert "config/settings/production.py:20" in failed.stderr
    assert "djambda env set DJANGO_ADMIN_URL --local" in failed.stderr
    user.require("djambda env set DJANGO_ADMIN_URL --local", cwd=folder, text=SECRET_PATH)
    return project.up()


def test_admin_has_its_own_path_and_an_upload_works(page: Page, site: Site) -> None:
    assert site.admin == site.url + SECRET_PATH
    assert "@" in site.username
    page.goto(SECRET_PATH)
    page.get_by_label("Email").fill(site.username)
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in").click()

    page.goto(f"{SECRET_PATH}books/book/add/")
    page.get_by_label("Title").fill("Emma")
    page.get_by_label("Cover").set_input_files(
        {"name": "emma.png", "mimeType": "image/png", "buffer": png(40, 30)}
    )
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="Emma").first).to_be_visible()

    page.goto("api/books/?format=json")
    [book] = json.loads(page.locator("body").inner_text())
    page.goto(book["cover"])
    assert is_loaded(page.locator("img"))


def test_visitor_signs_up(page: Page) -> None:
    page.goto("")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Email").fill("reader@example.com")
    page.get_by_label("Password:", exact=True).fill("a good long password")
    page.get_by_label("Password (again)").fill("a good long password")
    page.get_by_role("button", name="Sign Up").click()

    expect(page.get_by_text("Signed in as reader@example.com")).to_be_visible()
    color = page.locator("h1").evaluate("element => getComputedStyle(element).color")
    assert color == "rgb(1, 2, 3)"


def test_mail_is_captured(project: Repository, site: Site) -> None:
    user, folder = project.user, project.folder
    user.require("djambda manage --local sendtestemail reader@example.org", cwd=folder)

    mail = json.loads(user.require("djambda mail --local show --json", cwd=folder))

    assert mail["from"] == HOSTILE["MAIL_FROM"]
    assert mail["to"] == ["reader@example.org"]


def test_browsable_api_is_styled(page: Page) -> None:
    page.goto("api/books/")

    expect(page.get_by_role("heading", name="Book List")).to_be_visible()
    assert page.locator(".navbar").evaluate("e => getComputedStyle(e).position") != "static"


def test_project_is_unchanged(project: Repository, site: Site) -> None:
    assert project.changes() == []
