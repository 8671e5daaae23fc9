"""The settings that a deployment with MAIL_FROM gives to a project."""

from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import django
import pytest

from awscdk.readers import mailbox
from djambda.mail.settings import BACKEND, use_mail
from tests.unit.djambda.conftest import configured, replaced

BACKENDS = "django.core.mail.backends"
CONSOLE = f"{BACKENDS}.console.EmailBackend"
SMTP = f"{BACKENDS}.smtp.EmailBackend"
ANYMAIL = "anymail.backends.mailgun.EmailBackend"
SENDER = "Shop <shop@example.com>"
MAILERS = pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS is a setting of 6.1")


def with_mail(sender: str = SENDER, **settings: Any) -> dict[str, Any]:
    """Return a project's settings for mail."""
    use_mail(settings, sender)
    return settings


@pytest.fixture
def with_sender(deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJAMBDA_MAIL_FROM", SENDER)


@pytest.mark.usefixtures("deployed")
def test_settings_are_unchanged_without_a_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJAMBDA_MAIL_FROM", raising=False)
    settings = configured()

    assert not settings.keys() & {"MAILERS", "EMAIL_BACKEND", "DEFAULT_FROM_EMAIL", "SERVER_EMAIL"}


@MAILERS
@pytest.mark.usefixtures("with_sender")
def test_sender_enables_mail() -> None:
    settings = configured()

    assert settings["MAILERS"] == {"default": {"BACKEND": BACKEND}}
    assert settings["DEFAULT_FROM_EMAIL"] == settings["SERVER_EMAIL"] == SENDER
    assert replaced() == {}


@MAILERS
@pytest.mark.usefixtures("with_sender")
def test_mailer_of_startproject_is_replaced_and_recorded() -> None:
    assert replaced(MAILERS={"default": {"BACKEND": CONSOLE}}).keys() == {'MAILERS["default"]'}


@MAILERS
@pytest.mark.parametrize(
    "mailer",
    [
        *({}, {"BACKEND": SMTP}, {"OPTIONS": {"host": "localhost"}}, {"BACKEND": CONSOLE}),
        {"BACKEND": f"{BACKENDS}.filebased.EmailBackend", "OPTIONS": {"file_path": "/mail"}},
        {"BACKEND": f"{BACKENDS}.locmem.EmailBackend"},
    ],
    ids=str,
)
def test_mailer_that_cannot_send_is_replaced(mailer: dict[str, Any]) -> None:
    settings = with_mail(MAILERS={"default": mailer, "bulk": mailer})

    assert settings["MAILERS"] == {"default": {"BACKEND": BACKEND}, "bulk": {"BACKEND": BACKEND}}


@MAILERS
@pytest.mark.parametrize(
    "mailer",
    [
        {"BACKEND": ANYMAIL},
        {"OPTIONS": {"host": "smtp.example.com"}},
        {"BACKEND": f"{BACKENDS}.dummy.EmailBackend"},
        {"BACKEND": "djambda.mail.backend.EmailBackend", "OPTIONS": {"fail_silently": True}},
    ],
    ids=str,
)
def test_own_mailer_is_kept(mailer: dict[str, Any]) -> None:
    assert with_mail(MAILERS={"default": mailer})["MAILERS"] == {"default": mailer}


@MAILERS
def test_default_is_added_to_other_mailers() -> None:
    assert with_mail(MAILERS={"own": {"BACKEND": ANYMAIL}})["MAILERS"] == {
        "default": {"BACKEND": BACKEND},
        "own": {"BACKEND": ANYMAIL},
    }


@pytest.mark.parametrize(
    "project",
    [
        *({"EMAIL_BACKEND": CONSOLE}, {"EMAIL_BACKEND": SMTP}, {"EMAIL_HOST": "localhost"}),
        *({"EMAIL_HOST": ""}, {"EMAIL_PORT": 587, "EMAIL_USE_TLS": True}),
        {"LOGGING": {"handlers": {"mail": {"email_backend": CONSOLE}, "other": {}}}},
    ],
    ids=str,
)
def test_backend_that_cannot_send_is_replaced(project: dict[str, Any]) -> None:
    settings = with_mail(**project)

    assert settings["EMAIL_BACKEND"] == BACKEND
    assert "MAILERS" not in settings  # Django rejects it beside the others.


@pytest.mark.parametrize(
    "project",
    [
        {"EMAIL_BACKEND": ANYMAIL},
        {"EMAIL_HOST": "smtp.example.com"},
        {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "smtp.example.com"},
    ],
    ids=str,
)
def test_own_provider_is_kept(project: dict[str, Any]) -> None:
    settings = with_mail(**project)

    assert {name: settings[name] for name in project} == project
    assert "MAILERS" not in settings
    assert settings.get("EMAIL_BACKEND") == project.get("EMAIL_BACKEND")


@pytest.mark.usefixtures("with_sender")
def test_replaced_backend_is_recorded() -> None:
    assert replaced(EMAIL_BACKEND=CONSOLE).keys() == {"EMAIL_BACKEND"}
    assert replaced(EMAIL_BACKEND=ANYMAIL) == {}


@pytest.mark.skipif(django.VERSION >= (6, 1), reason="6.1 has MAILERS")
def test_earlier_versions_get_a_backend() -> None:
    assert with_mail()["EMAIL_BACKEND"] == BACKEND


def test_own_senders_are_kept() -> None:
    own = {"DEFAULT_FROM_EMAIL": "a@example.com", "SERVER_EMAIL": "b@example.com"}
    django_own = {"DEFAULT_FROM_EMAIL": "webmaster@localhost", "SERVER_EMAIL": "root@localhost"}

    assert with_mail(**own).items() >= own.items()
    assert with_mail(**django_own).items() >= dict.fromkeys(own, SENDER).items()


@pytest.mark.parametrize(
    ("text", "sender"),
    [
        *((text, text) for text in ("shop@example.com", SENDER, '"Shop, Inc." <a@example.com>')),
        ("Café <shop@example.com>", "Café <shop@example.com>"),
        ('"Café, Bar" <shop@example.com>', '"Café, Bar" <shop@example.com>'),
    ],
)
def test_sender_is_that_of_the_stack(text: str, sender: str) -> None:
    header = mailbox(text).header

    assert header.isascii()
    assert with_mail(header)["DEFAULT_FROM_EMAIL"] == sender


@pytest.mark.usefixtures("deployed")
def test_projects_own_variable_is_no_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_FROM", SENDER)

    assert "DEFAULT_FROM_EMAIL" not in configured()


def test_cold_start_imports_mail_only_with_a_sender(
    run_deployed: Callable[..., CompletedProcess[str]],
) -> None:
    code = """if True:
        import sys
        from djambda.aws import configure
        configure(settings := {})
        print(sorted(name for name in sys.modules if name.startswith("djambda.mail")))
        print("smtplib" in sys.modules, settings.get("DEFAULT_FROM_EMAIL"))
    """

    without = run_deployed(code)
    with_sender = run_deployed(code, DJAMBDA_MAIL_FROM=SENDER)

    assert without.stdout.splitlines() == ["[]", "False None"], without.stderr
    assert with_sender.stdout.splitlines() == [
        "['djambda.mail', 'djambda.mail.settings']",
        f"False {SENDER}",
    ], with_sender.stderr
