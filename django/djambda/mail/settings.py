"""Settings that send a project's mail with SES, unless it has a provider of its own.

Django 6.1 has the setting MAILERS, and rejects it together with EMAIL_BACKEND of earlier versions.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

import django
from django import conf

from djambda.replaced_settings import record, replace

BACKEND = "djambda.mail.backend.EmailBackend"
BACKENDS = "django.core.mail.backends"
SMTP = f"{BACKENDS}.smtp.EmailBackend"
UNUSABLE = {f"{BACKENDS}.{name}.EmailBackend" for name in ("console", "filebased", "locmem")}
"""Django's backends for development. The dummy backend remains: it says not to send anything."""

LOCAL_HOSTS = {"", "localhost", "127.0.0.1", "::1"}
"""SMTP servers that a function does not have."""

SENDERS = {"DEFAULT_FROM_EMAIL": "webmaster@localhost", "SERVER_EMAIL": "root@localhost"}
"""The settings with a sender, and Django's own values."""

WITH_SES = "MAIL_FROM is set, so mail is sent with Amazon SES"


def use_mail(settings: MutableMapping[str, Any], sender: str) -> None:
    """Set the backend and the senders. `sender` has the form of a header."""
    sender = _decoded(sender) if sender.startswith("=?") else sender
    for name, default in SENDERS.items():
        if settings.get(name, default) == default:
            settings[name] = sender
    if django.VERSION >= (6, 1) and not _has_earlier_settings(settings):
        _use_mailers(settings)
    elif _is_unusable(settings.get("EMAIL_BACKEND", SMTP), settings.get("EMAIL_HOST")):
        replace(settings, "EMAIL_BACKEND", BACKEND, WITH_SES)


def _decoded(sender: str) -> str:
    """Return an address whose name is encoded as in a header (RFC 2047), with its name as text."""
    from email.header import decode_header, make_header  # noqa: PLC0415 (slow to import)
    from email.headerregistry import Address  # noqa: PLC0415
    from email.utils import parseaddr  # noqa: PLC0415

    name, address = parseaddr(sender)
    return str(Address(str(make_header(decode_header(name))), addr_spec=address))


def _has_earlier_settings(settings: MutableMapping[str, Any]) -> bool:
    """Return whether a project has settings that Django rejects together with MAILERS."""
    names = getattr(conf, "DEPRECATED_EMAIL_SETTINGS", ())
    handlers = (settings.get("LOGGING") or {}).get("handlers", {}).values()
    return any(name in settings for name in names) or any(
        "email_backend" in handler for handler in handlers
    )


def _use_mailers(settings: MutableMapping[str, Any]) -> None:
    project: Mapping[str, Any] = settings.get("MAILERS", {})
    mailers = {"default": {}, **project}
    for alias, mailer in mailers.items():
        host = mailer.get("OPTIONS", {}).get("host")
        if _is_unusable(mailer.get("BACKEND", SMTP), host):
            mailers[alias] = {"BACKEND": BACKEND}
            if alias in project:
                record(settings, f'MAILERS["{alias}"]', WITH_SES)
    settings["MAILERS"] = mailers


def _is_unusable(backend: str, host: str | None) -> bool:
    """Return whether a backend cannot send mail from a function."""
    return backend in UNUSABLE or (backend == SMTP and (host or "") in LOCAL_HOSTS)
