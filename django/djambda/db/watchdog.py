"""Break connections to a server that no longer responds when a request's time is over.

The drivers wait for the server in C, where Python runs no signal handlers. The signal of
`djambda.deadline` also writes to a pipe, which a thread reads; it shuts down the sockets, so the
driver raises an error, and then Python runs the handler.
"""

import contextlib
import os
import signal
import socket
import threading
import time
import weakref
from typing import Any

from djambda import deadline

GRACE_SECONDS = 0.5
"""The time for the server's own timeouts, whose errors say more."""

_connections: "weakref.WeakSet[Any]" = weakref.WeakSet()
_is_running = False


def watch(wrapper: Any) -> None:
    """Watch the connection of a Django database wrapper, now and after it reconnects."""
    global _is_running  # noqa: PLW0603 (one thread for the process)
    _connections.add(wrapper)
    if _is_running or threading.current_thread() is not threading.main_thread():
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    thread = threading.Thread(target=_run, args=(reading,), name="watchdog", daemon=True)
    deadline.own_threads.add(thread)
    thread.start()
    _is_running = True


def _run(pipe: int) -> None:
    while os.read(pipe, 64):
        limits = deadline.current
        time.sleep(GRACE_SECONDS)
        if limits is deadline.current and limits.is_over:
            for wrapper in list(_connections):
                with contextlib.suppress(Exception):
                    _shut_down(wrapper.connection.fileno())


def _shut_down(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
