"""Django's check of the project's senders."""

import django
import pytest
from pytest_django import Settings

from djambda.mail.backend import EmailBackend
from djambda.mail.checks import sender_messages

BACKEND = f"{EmailBackend.__module__}.{EmailBackend.__qualname__}"


@pytest.fixture(autouse=True)
def sender(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJAMBDA_MAIL_SENDERS", "*@example.com")
    settings.SERVER_EMAIL = "errors@example.com"
    use(settings, BACKEND)


def use(settings: Settings, backend: str) -> None:
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend


@pytest.mark.parametrize("address", ["shop@example.com", "Desk <desk@example.com>"])
def test_senders_of_the_domain_are_accepted(address: str, settings: Settings) -> None:
    settings.DEFAULT_FROM_EMAIL = address

    assert sender_messages() == []


@pytest.mark.parametrize("address", ["Site <site@other.example>", "webmaster", "a@Example.com"])
def test_sender_of_another_domain_is_named(address: str, settings: Settings) -> None:
    settings.DEFAULT_FROM_EMAIL = address

    [message] = sender_messages()

    assert message.id == "djambda.W003"
    assert "DEFAULT_FROM_EMAIL" in message.msg
    assert "*@example.com" in message.msg
    assert "site@other.example" not in message.msg


def test_other_address_of_a_providers_domain_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJAMBDA_MAIL_SENDERS", "ann@example.com")
    settings.DEFAULT_FROM_EMAIL = "Ann <ann@example.com>"

    [message] = sender_messages()

    assert "SERVER_EMAIL" in message.msg


def test_other_providers_are_not_checked(settings: Settings) -> None:
    settings.DEFAULT_FROM_EMAIL = "site@other.example"
    use(settings, "django.core.mail.backends.dummy.EmailBackend")

    assert sender_messages() == []
