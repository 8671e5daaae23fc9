"""The home page, login and error pages, and rules for all templates."""

import re
from pathlib import Path
from smtplib import SMTPException
from typing import NoReturn

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.test import Client, RequestFactory
from django.test.utils import override_script_prefix
from django.urls import reverse
from django.views.defaults import bad_request, permission_denied, server_error
from pytest_django import DjangoAssertNumQueries, Settings
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from core.models import Note
from mysite import urls

TEMPLATES = sorted((Path(__file__).parents[1] / "templates").rglob("*.html"))
HOME = reverse("core:home")
LIST = reverse("core:note_list")
LOGIN = reverse("login")
RESET = reverse("password_reset")


def test_home_page_needs_no_database(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        response = Client().get(HOME)
    assertContains(response, f'<a class="button" href="{LOGIN}">Log in</a>', html=True)
    assertContains(response, "core/site.css")
    assertContains(response, "core/notes.svg")
    assert response.cookies == {}


def test_home_page_links_to_the_users_notes(client: Client) -> None:
    assertContains(
        client.get(HOME), f'<a class="button" href="{LIST}">Open my notes</a>', html=True
    )


@pytest.mark.parametrize("address", [HOME, LIST, reverse("core:note_create"), "/missing/"])
def test_pages_of_signed_in_users_are_not_cached(client: Client, address: str) -> None:
    directives = client.get(address).headers["Cache-Control"].split(", ")

    assert {"private", "no-store"} <= set(directives)


def test_page_of_a_visitor_may_be_cached(db: None) -> None:
    assert "no-store" not in Client().get(HOME).headers.get("Cache-Control", "")


def test_no_password_reset_without_mail(db: None, settings: Settings) -> None:
    settings.ROOT_URLCONF = tuple(
        pattern for pattern in urls.urlpatterns if "password-reset" not in str(pattern.pattern)
    )

    assert urls.password_reset(sends_mail=False) == []
    assertNotContains(Client().get(LOGIN), "password?")


def test_password_reset(ada: User) -> None:
    ada.email = "ada@example.com"
    ada.set_password("an old password")
    ada.save()
    browser = Client()
    assertContains(browser.get(LOGIN), f'<a href="{RESET}">Forgot your password?</a>', html=True)

    sent = browser.post(RESET, {"email": "Ada@example.com"}, follow=True)

    assertContains(sent, "<h1>Check your mail</h1>", html=True)
    [message] = mail.outbox
    assert message.to == ["ada@example.com"]
    [link] = re.findall(r"http://testserver(\S+)", str(message.body))
    form = browser.get(link, follow=True)
    assertContains(form, "<h1>New password</h1>", html=True)
    password = {"new_password1": "correct horse battery", "new_password2": "correct horse battery"}
    saved = browser.post(form.redirect_chain[-1][0], password, follow=True)
    assertContains(saved, "<h1>Password saved</h1>", html=True)
    assert browser.login(username="ada", password="correct horse battery")
    assertContains(browser.get(link), "<h1>This link has expired</h1>", html=True)


def test_password_reset_does_not_reveal_accounts(db: None) -> None:
    sent = Client().post(RESET, {"email": "nobody@example.com"}, follow=True)

    assertContains(sent, "<h1>Check your mail</h1>", html=True)
    assert mail.outbox == []


def test_password_reset_survives_a_failure_of_mail(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.email = "ada@example.com"
    ada.set_password("an old password")
    ada.save()

    def fail(*_: object) -> NoReturn:
        raise SMTPException("SES refused it")

    monkeypatch.setattr("django.core.mail.EmailMultiAlternatives.send", fail)

    sent = Client().post(RESET, {"email": "ada@example.com"}, follow=True)

    assertContains(sent, "<h1>Check your mail</h1>", html=True)


def test_only_staff_see_the_link_to_the_admin(client: Client, admin_client: Client) -> None:
    assertContains(admin_client.get(HOME), reverse("admin:index"))
    assertNotContains(client.get(HOME), reverse("admin:index"))


def test_log_in_and_out(db: None) -> None:
    User.objects.create_user("ada", password="countess")
    client = Client()
    address = f"{LOGIN}?next={reverse('core:note_create')}"
    wrong = client.post(address, {"username": "ada", "password": "duke"})
    assertContains(wrong, 'role="alert"')
    right = {"username": "ada", "password": "countess", "next": reverse("core:note_create")}
    assertRedirects(client.post(address, right), reverse("core:note_create"))
    assertContains(client.post(reverse("logout")), "<h1>Logged out</h1>", html=True)
    assert client.get(LIST).status_code == 302


def test_login_redirects_to_the_notes(db: None) -> None:
    User.objects.create_user("ada", password="countess")
    response = Client().post(LOGIN, {"username": "ada", "password": "countess"})
    assertRedirects(response, LIST, fetch_redirect_response=False)


@pytest.mark.parametrize("page", ["note_create", "note_update", "note_delete"])
def test_change_without_a_csrf_token_is_refused(ada: User, note: Note, page: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    address = reverse(f"core:{page}", args=[] if page == "note_create" else [note.pk])
    response = client.post(address, {"title": "Forged"})
    assertContains(response, "This form has expired", status_code=403)
    assert [n.title for n in Note.objects.all()] == ["Lisbon"]

    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(address).text)
    assert token
    response = client.post(address, {"title": "Meant", "csrfmiddlewaretoken": token[1]})
    assert response.status_code == 302


def test_login_is_csrf_protected(db: None) -> None:
    response = Client(enforce_csrf_checks=True).post(LOGIN, {"username": "a", "password": "b"})
    assertContains(response, "This form has expired", status_code=403)


@pytest.mark.parametrize("page", ["home", "note_list", "healthz"])
def test_read_only_pages_refuse_post(client: Client, page: str) -> None:
    assert client.post(reverse(f"core:{page}")).status_code == 405


def test_pages_for_not_found_and_forbidden(client: Client, rf: RequestFactory) -> None:
    assertContains(client.get("/nowhere"), "Page not found", status_code=404)
    forbidden = permission_denied(rf.get("/"), PermissionError())
    assertContains(forbidden, "You do not have access", status_code=403)


def test_error_pages_need_neither_database_nor_manifest(
    rf: RequestFactory, settings: Settings, media: Path
) -> None:
    backend = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    settings.STATIC_ROOT = media / "static"
    with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
        Client().get(HOME)
    assertContains(server_error(rf.get("/")), "Something went wrong", status_code=500)
    assertContains(
        bad_request(rf.get("/"), ValueError()), "This request is invalid", status_code=400
    )


@pytest.mark.parametrize("name", ["home", "note_list", "note_create"])
def test_all_links_keep_the_sites_prefix(client: Client, settings: Settings, name: str) -> None:
    address = reverse(f"core:{name}")
    with override_script_prefix("/prod/"):
        html = client.get(address).text
    addresses = re.findall(r'(?:href|src|action)="([^"]*)"', html)
    assert "/prod/" in addresses
    known = ("/prod/", settings.STATIC_URL, "#")
    assert [address for address in addresses if not address.startswith(known)] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_allow_a_strict_content_security_policy(template: Path) -> None:
    source = template.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! src=)", source)
    assert not re.search(r'(href|src|action)="(/|https?:)', source)


def test_every_post_form_has_a_csrf_token() -> None:
    for template in TEMPLATES:
        posts = template.read_text().count('method="post"')
        assert template.read_text().count("{% csrf_token %}") == posts, template.name


@pytest.mark.django_db
def test_migrations_match_the_models() -> None:
    call_command("makemigrations", "core", check=True, dry_run=True, verbosity=0)
