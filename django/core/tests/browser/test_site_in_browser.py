"""The sample in a browser: styles, login, a note with an attachment, the admin."""

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.pages import has_background, log_in
from tests.cloud.local import Cloud


def test_home_page_is_styled_and_illustrated(page: Page, screenshots: Path) -> None:
    page.goto("")
    page.screenshot(path=screenshots / "home.png", full_page=True)

    heading = page.get_by_role("heading", level=1)
    size = heading.evaluate("element => parseFloat(getComputedStyle(element).fontSize)")
    assert size > 32  # An unstyled h1 has 32 px.
    for image in page.get_by_role("main").locator("img").all():
        assert image.evaluate("element => element.naturalWidth") > 0


def test_note_with_an_attachment(
    page: Page, cloud: Cloud, screenshots: Path, tmp_path: Path
) -> None:
    attachment = tmp_path / "recipe.txt"
    attachment.write_text("Two eggs, and patience.\n")
    log_in(page, cloud, "notes/")

    page.goto("notes/new/")
    page.get_by_label("Title").fill("Breakfast")
    page.locator("#id_uploads").set_input_files(attachment)
    page.screenshot(path=screenshots / "new-note.png", full_page=True)
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Breakfast")
    page.screenshot(path=screenshots / "note.png", full_page=True)
    with page.expect_download() as downloading:
        page.get_by_role("link", name="recipe.txt", exact=True).click()
    assert downloading.value.suggested_filename == "recipe.txt"
    assert downloading.value.path().read_text() == "Two eggs, and patience.\n"

    page.goto("notes/")
    expect(page.get_by_role("link", name="Breakfast")).to_be_visible()
    page.screenshot(path=screenshots / "notes.png", full_page=True)


def test_file_that_is_too_large_is_not_sent(page: Page, cloud: Cloud, tmp_path: Path) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(5_000_000))
    log_in(page, cloud, "notes/")
    page.goto("notes/new/")
    page.get_by_label("Title").fill("Too much")
    uploads = page.locator("#id_uploads")
    uploads.set_input_files(big)

    page.get_by_role("button", name="Save").click()

    assert page.url.endswith("/notes/new/")
    assert "MB" in uploads.evaluate("element => element.validationMessage")


def test_wrong_password_is_reported(page: Page) -> None:
    page.goto("accounts/login/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("main").get_by_role("button", name="Log in").click()

    expect(page.get_by_role("main")).to_contain_text("correct username and password")


def test_forgotten_password_is_reset_with_the_link_in_the_mail(
    page: Page, cloud: Cloud, screenshots: Path
) -> None:
    cloud.manage(
        ["shell", "-c", "User.objects.create_user('ann', 'ann@example.org', 'forgotten 1234')"]
    )

    page.goto("accounts/login/")
    page.screenshot(path=screenshots / "login.png", full_page=True)
    page.get_by_role("link", name="Forgot your password?").click()
    page.screenshot(path=screenshots / "password-reset.png", full_page=True)
    page.get_by_label("Email").fill("ann@example.org")
    page.get_by_role("button", name="Send the link").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    page.screenshot(path=screenshots / "password-reset-sent.png", full_page=True)
    mail = json.loads(cloud.djambda("mail show --json").stdout)
    assert mail["to"] == ["ann@example.org"]
    [link] = re.findall(r"https?://\S+", mail["text"])
    assert link.startswith(cloud.site)

    page.goto(link)
    page.get_by_label("New password", exact=True).fill("new horse battery")
    page.get_by_label("New password confirmation").fill("new horse battery")
    page.screenshot(path=screenshots / "password-reset-form.png", full_page=True)
    page.get_by_role("button", name="Save the password").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Password saved")

    page.get_by_role("main").get_by_role("link", name="Log in").click()
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill("new horse battery")
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.wait_for_url("**/notes/")


def test_admin_is_styled_and_lists_notes(page: Page, cloud: Cloud, screenshots: Path) -> None:
    log_in(page, cloud, "notes/")
    page.goto("admin/")
    page.screenshot(path=screenshots / "admin.png", full_page=True)

    assert has_background(page.locator("#header"))
    page.get_by_role("main").get_by_role("link", name="Notes", exact=True).last.click()
    expect(page.get_by_role("link", name="Add note")).to_be_visible()
