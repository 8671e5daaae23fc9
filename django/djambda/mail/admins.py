"""Mail to ADMINS about errors, and to MANAGERS about broken links, which must not cause errors.

With Django 6.1's MAILERS, `AdminEmailHandler` and `BrokenLinkEmailsMiddleware` raise what the
backend raises. A mail that SES refuses would then replace the response, and end commands that log
an error.
"""

import logging
from functools import wraps
from typing import Any

import django
from django.middleware.common import BrokenLinkEmailsMiddleware
from django.utils.log import AdminEmailHandler

logger = logging.getLogger(__name__)


def survive_failures() -> None:
    """Report failures in the log instead."""
    if hasattr(AdminEmailHandler.emit, "__wrapped__"):
        return
    AdminEmailHandler.emit = _reporting_emit()  # type: ignore[method-assign]
    if django.VERSION >= (6, 1):
        BrokenLinkEmailsMiddleware.send_mail = _reporting_send_mail()  # type: ignore[method-assign]


def _reporting_emit() -> Any:
    emit = AdminEmailHandler.emit

    @wraps(emit)
    def emit_or_report(self: logging.Handler, record: logging.LogRecord) -> None:
        """Report a failure as logging does: with a traceback on standard error."""
        try:
            emit(self, record)
        except Exception:  # noqa: BLE001 (whatever the backend raises)
            self.handleError(record)

    return emit_or_report


def _reporting_send_mail() -> Any:
    send_mail = BrokenLinkEmailsMiddleware.send_mail

    @wraps(send_mail)
    def send_or_report(self: BrokenLinkEmailsMiddleware, *arguments: Any, **keywords: Any) -> None:
        try:
            send_mail(self, *arguments, **keywords)
        except Exception as error:  # noqa: BLE001 (as above)
            logger.warning("A mail about a broken link was not sent: %s", error)

    return send_or_report
