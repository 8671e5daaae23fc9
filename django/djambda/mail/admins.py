"""Mail to ADMINS about errors, which must not cause others.

With Django 6.1's MAILERS, `AdminEmailHandler` raises what the backend raises. A mail that SES
refuses would then replace the response for the error, and end commands that log one.
"""

import logging
from functools import wraps

from django.utils.log import AdminEmailHandler


def survive_failures() -> None:
    """Report failures of the handler as logging does: with a traceback on standard error."""
    emit = AdminEmailHandler.emit
    if hasattr(emit, "__wrapped__"):
        return

    @wraps(emit)
    def emit_or_report(self: logging.Handler, record: logging.LogRecord) -> None:
        try:
            emit(self, record)
        except Exception:  # noqa: BLE001 (whatever the backend raises)
            self.handleError(record)

    AdminEmailHandler.emit = emit_or_report  # type: ignore[method-assign]
