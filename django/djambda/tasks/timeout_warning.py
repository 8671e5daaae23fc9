"""The warning about a task that the function's timeout will soon stop, without any exception."""

import contextlib
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from djambda import deadline
from djambda_common.task_record import Record

logger = logging.getLogger(__name__)

WARNING_SHARE = 0.8
"""The share of the function's time after which a running task is logged."""


@contextlib.contextmanager
def warning_before_timeout(record: Record, context: Any) -> Iterator[None]:
    """Log where the task is when most of the function's time is over."""
    seconds = context.get_remaining_time_in_millis() / 1000
    thread = threading.current_thread()

    def warn() -> None:
        frame = sys._current_frames().get(thread.ident or 0)
        logger.warning(
            "Task %s (%s) will be stopped in %.0f s, at the function's timeout. Split it into "
            "several tasks. It is here:\n%s",
            *(record["id"], record["task"], seconds * (1 - WARNING_SHARE)),
            "".join(traceback.format_stack(frame)) if frame else "",
        )

    timer = threading.Timer(seconds * WARNING_SHARE, warn)
    timer.daemon = True
    deadline.own_threads.add(timer)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        deadline.own_threads.discard(timer)
