"""A project that has never heard of djambda: `wagtail start`."""

import re
import struct
import zlib
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import is_loaded
from tests.installed.conftest import Repository, Site, User, repository

WAGTAIL = "wagtail==8.0"


@pytest.fixture(scope="module")
def project(user: User) -> Iterator[Repository]:
    folder = user.home / "bakery"
    folder.mkdir()
    user.run_tool(WAGTAIL, f"wagtail start mysite {folder}", cwd=folder)
    with repository(user, folder) as project:
        yield project


@pytest.fixture(scope="module")
def site(project: Repository) -> Site:
    return project.up()


@pytest.fixture
def admin(page: Page, site: Site) -> Page:
    """A page of the superuser."""
    page.goto("admin/login/")
    page.get_by_label("Username").fill(site.username)
    page.locator("#id_password").fill(site.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/")
    return page


def test_page_is_published_and_found(admin: Page, site: Site) -> None:
    admin.goto("admin/pages/")
    [home] = {
        number for number in re.findall(r"admin/pages/(\d+)/", admin.content()) if number != "1"
    }
    admin.goto(f"admin/pages/add/home/homepage/{home}/")
    admin.locator("#id_title").fill("Bread and rolls")
    admin.locator("#id_title").blur()
    admin.get_by_role("button", name="More actions").first.click()
    admin.get_by_role("button", name="Publish").first.click()
    expect(admin.get_by_text("Page 'Bread and rolls' created and published.")).to_be_visible()

    admin.goto("bread-and-rolls/")
    expect(admin).to_have_title(re.compile("Bread and rolls"))
    admin.goto("search/?query=bread")
    expect(admin.get_by_role("link", name="Bread and rolls")).to_be_visible()


def test_uploaded_image_has_a_rendition(admin: Page) -> None:
    admin.goto("admin/images/add/")
    admin.locator("#id_file").set_input_files(
        {"name": "orange.png", "mimeType": "image/png", "buffer": png(400, 300)}
    )
    admin.locator("#id_title").fill("Orange")
    admin.get_by_role("button", name="Upload").click()

    admin.goto("admin/images/")
    picture = admin.locator("img[src*='max-165x165']").first
    expect(picture).to_be_visible()
    assert is_loaded(picture)
    assert urljoin(admin.url, picture.get_attribute("src")) != admin.url


def test_project_is_unchanged(project: Repository, site: Site) -> None:
    assert project.changes() == []


def test_commands_work_in_the_project(project: Repository, site: Site) -> None:
    output = project.user.require("djambda manage --local check", cwd=project.folder)

    assert "System check identified no issues" in output


def png(width: int, height: int) -> bytes:
    """Return an image of one color."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    rows = b"".join(b"\0" + b"\xff\x80\x00" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
