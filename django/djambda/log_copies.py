"""Show the log records of a management command in its output.

Console handlers write there by themselves. The handlers of Lambda's runtime do not, so a record
that only they handle is copied to the output.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from djambda import logs
from djambda.logs import as_ascii, handlers_of

FORMATTER = logging.Formatter("%(levelname)s %(name)s: %(message)s")


@contextlib.contextmanager
def records_in_output(streams: Mapping[Any, Any], show: Callable[[bytes], None]) -> Iterator[None]:
    """Pass records on to `show`, except those that a console handler shows.

    `streams` maps the streams of console handlers to those that they use meanwhile.
    """
    existing = list(logging.root.manager.loggerDict.values())
    loggers = [logging.root, *(item for item in existing if isinstance(item, logging.Logger))]
    copies = _CopyHandler(set(streams.values()), show)
    with contextlib.ExitStack() as restored:
        for logger in loggers:
            for handler in logger.handlers:
                stream = getattr(handler, "stream", None)
                if isinstance(handler, logging.StreamHandler) and stream in streams:
                    handler.setStream(streams[stream])
                    restored.callback(handler.setStream, stream)
            if any(handler in logs.LAMBDA_HANDLERS for handler in logger.handlers):
                logger.addHandler(copies)
                restored.callback(logger.removeHandler, copies)
        yield


class _CopyHandler(logging.Handler):
    """Shows the records that no handler with one of these streams has written."""

    def __init__(self, streams: set[Any], show: Callable[[bytes], None]) -> None:
        super().__init__()
        self._streams = streams
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        if any(self._has_written(h, record) for h in handlers_of(logging.getLogger(record.name))):
            return
        try:
            text = FORMATTER.format(record)
        except Exception:  # noqa: BLE001 (such as arguments that do not fit the message)
            text = FORMATTER.format(as_ascii(record))
        self._show(f"{text}\n".encode(errors="backslashreplace"))

    def _has_written(self, handler: logging.Handler, record: logging.LogRecord) -> bool:
        return (
            getattr(handler, "stream", None) in self._streams
            and record.levelno >= handler.level
            and bool(handler.filter(record))
        )
