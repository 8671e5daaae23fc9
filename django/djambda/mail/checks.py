"""Django's check of the senders that a project sets, which a release runs."""

import os
from email.utils import parseaddr
from fnmatch import fnmatchcase

from django.conf import settings
from django.core import checks

from djambda.mail.settings import BACKEND, SENDERS
from djambda_common.names import PERMITTED_VARIABLE


def sender_messages() -> list[checks.CheckMessage]:
    """Return a warning for each sender from which IAM does not let the site send."""
    if not _uses_ses():
        return []
    permitted = os.environ[PERMITTED_VARIABLE]
    return [
        checks.Warning(
            f"{name} is an address from which the site may not send: MAIL_FROM permits only "
            f"{permitted}.",
            hint=f"Remove {name} from the settings, or change it or MAIL_FROM.",
            id="djambda.W003",
        )
        for name in SENDERS
        # IAM is case-sensitive as well.
        if not fnmatchcase(parseaddr(str(getattr(settings, name)))[1], permitted)
    ]


def _uses_ses() -> bool:
    mailers = getattr(settings, "MAILERS", None)
    if mailers is None:
        return settings.EMAIL_BACKEND == BACKEND
    return bool(mailers.get("default", {}).get("BACKEND") == BACKEND)
