"""Django's check of the senders that a project sets, which a release runs."""

import os
from email.utils import parseaddr

from django.conf import settings
from django.core import checks

from djambda.mail.settings import BACKEND, SENDERS
from djambda_common.names import SENDER_VARIABLE


def sender_messages() -> list[checks.CheckMessage]:
    """Return a warning for each sender from which SES does not send, because of its domain."""
    if not _uses_ses():
        return []
    domain = _domain(os.environ[SENDER_VARIABLE])
    return [
        checks.Warning(
            f"{name} is an address at {found or 'no domain'}, but MAIL_FROM permits the site to "
            f"send from {domain} only.",
            hint=f"Remove {name} from the settings, or change it or MAIL_FROM.",
            id="djambda.W003",
        )
        for name in SENDERS
        if (found := _domain(getattr(settings, name))) != domain
    ]


def _uses_ses() -> bool:
    mailers = getattr(settings, "MAILERS", None)
    if mailers is None:
        return settings.EMAIL_BACKEND == BACKEND
    return bool(mailers.get("default", {}).get("BACKEND") == BACKEND)


def _domain(sender: str) -> str:
    """Return the domain of an address, in which IAM distinguishes uppercase letters."""
    _, at, domain = parseaddr(str(sender))[1].rpartition("@")
    return domain if at else ""
