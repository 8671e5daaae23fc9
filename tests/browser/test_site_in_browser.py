"""The deployed site in a browser: styles, login, upload, download, the admin."""

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from djambda_cli.local.cloud import domain_url
from tests.browser.pages import has_background, log_in
from tests.cloud.local import Cloud


def test_home_page_is_styled(page: Page) -> None:
    page.goto("")

    assert has_background(page.locator("body"))
    for image in page.get_by_role("main").locator("img").all():
        assert image.evaluate("element => element.naturalWidth") > 0


def test_upload_and_download(page: Page, cloud: Cloud, tmp_path: Path) -> None:
    picture = tmp_path / "picture.txt"
    picture.write_text("A picture, in words.\n")
    log_in(page, cloud, "products/")

    page.goto("products/new/")
    page.get_by_label("Name").fill("Teapot")
    page.get_by_label("Picture").set_input_files(picture)
    page.get_by_role("button", name="Save").click()

    product = page.get_by_role("listitem").filter(has_text="Teapot")
    with page.expect_download() as download:
        product.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.startswith("picture")
    assert download.value.path().read_text() == "A picture, in words.\n"


def test_wrong_password_is_reported(page: Page) -> None:
    page.goto("accounts/login/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("main").get_by_role("button", name="Log in").click()

    expect(page.get_by_role("main")).to_contain_text("correct username and password")


def test_admin_is_styled_and_lists_products(page: Page, cloud: Cloud) -> None:
    log_in(page, cloud, "products/")
    page.goto("admin/")

    assert has_background(page.locator("#header"))
    page.get_by_role("main").get_by_role("link", name="Products", exact=True).last.click()
    expect(page.get_by_role("link", name="Add product")).to_be_visible()


def test_site_works_without_the_prefix(browser: Browser, cloud: Cloud) -> None:
    domain = domain_url(cloud.site)
    context = browser.new_context(base_url=domain)
    page = context.new_page()

    page.goto("accounts/login/")
    page.get_by_label("Username").fill(cloud.variables["DJANGO_SUPERUSER_USERNAME"])
    page.get_by_label("Password").fill(cloud.variables["DJANGO_SUPERUSER_PASSWORD"])
    page.get_by_role("main").get_by_role("button", name="Log in").click()

    page.wait_for_url(f"{domain}products/")
    assert {cookie["path"] for cookie in context.cookies()} == {"/"}
    assert has_background(page.locator("body"))
    context.close()
