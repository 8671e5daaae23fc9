"""Keep the log complete and harmless: no failed request is missing, and no record breaks a request.

Lambda's formatter writes a record's extra attributes and raises a TypeError if one is not JSON.
Django attaches the request to the records of failed requests, so without the filter every 404 and
500 would crash the function. A record with half a surrogate pair, which visitors can send, raises a
UnicodeEncodeError in Lambda's log sink.
"""

import contextlib
import copy
import json
import logging
from collections.abc import Iterator

from djambda_common.names import IPV4_LOGGER

LAMBDA_HANDLERS = logging.getLogger().handlers.copy()
"""Those of Lambda's runtime: this module is imported before the project's LOGGING replaces them."""

LOGGERS_OF_FAILURES = (
    *("django.request", "djambda.awsgi", IPV4_LOGGER, "djambda.recorded_run"),
    "djambda.tasks",
)

STANDARD = frozenset(vars(logging.makeLogRecord({})))


class JsonSafeFilter(logging.Filter):
    """Remove `request`, which has cookies and bodies, and convert other attributes to text."""

    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        extra = vars(record).keys() - STANDARD
        unsafe = [name for name in extra if name == "request" or not _is_json(vars(record)[name])]
        if not unsafe:
            return record
        record = copy.copy(record)  # Other handlers may need the original.
        for name in unsafe:
            value = vars(record).pop(name)
            if name != "request":
                setattr(record, name, str(value))
        return record


def protect(handler: logging.Handler) -> None:
    """Make a log handler accept every record: if it raises, it gets the record's text in ASCII."""
    handler.addFilter(JsonSafeFilter())
    emit = handler.emit

    def emit_safely(record: logging.LogRecord) -> None:
        try:
            emit(record)
        except Exception:  # noqa: BLE001 (a log call must not break a request)
            with contextlib.suppress(Exception):
                emit(as_ascii(record))

    handler.emit = emit_safely  # type: ignore[method-assign]


def log_failures() -> None:
    """Send failures to Lambda's handlers, with their tracebacks, whatever LOGGING configures.

    A project's LOGGING may disable existing loggers, or replace the handlers of Lambda's runtime.
    """
    if logging.root.manager.disable >= logging.ERROR:
        logging.disable(logging.WARNING)
    for logger in map(logging.getLogger, LOGGERS_OF_FAILURES):
        logger.disabled = False
        if not logger.isEnabledFor(logging.ERROR):
            logger.setLevel(logging.ERROR)
        attached = list(handlers_of(logger))
        for handler in LAMBDA_HANDLERS:
            if handler not in attached:
                logger.addHandler(handler)


def handlers_of(logger: logging.Logger) -> Iterator[logging.Handler]:
    """Yield the handlers of a logger and of those to which it propagates."""
    current: logging.Logger | None = logger
    while current:
        yield from current.handlers
        current = current.parent if current.propagate else None


def as_ascii(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record with the text of another in ASCII, even if that cannot be formatted."""
    try:
        text = logging.Formatter().format(copy.copy(record))
    except Exception:  # noqa: BLE001 (such as arguments that do not fit the message)
        text = f"{record.msg!r} {record.args!r}"
    return logging.makeLogRecord(
        {
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "msg": text.encode("ascii", "backslashreplace").decode(),
        }
    )


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
