"""Stop code in C, where Python runs no signal handlers, when a request's time is over.

The drivers of databases wait for the server there. The signal of `djambda.deadline` also writes to
a pipe, which a thread reads; it shuts down the sockets, so the driver raises an error, and then
Python runs the handler. If that does not help, because other code hangs, the process ends.
"""

import contextlib
import os
import signal
import socket
import threading
import time
import weakref
from typing import Any

from django.db.backends.signals import connection_created

from djambda import deadline

GRACE_SECONDS = 0.5
"""The time for the server's own timeouts, whose errors say more."""

_connections: "weakref.WeakSet[Any]" = weakref.WeakSet()
"""The wrappers of all connections, also those of other databases of the project."""
_is_running = False


def start() -> None:
    """Watch the requests of this process, and all connections to databases."""
    global _is_running  # noqa: PLW0603 (one thread for the process)
    if _is_running or threading.current_thread() is not threading.main_thread():
        return
    connection_created.connect(_watch)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    thread = threading.Thread(target=_run, args=(reading,), name="watchdog", daemon=True)
    deadline.own_threads.add(thread)
    thread.start()
    _is_running = True


def _watch(connection: Any, **_: Any) -> None:
    _connections.add(connection)


def _run(pipe: int) -> None:
    while os.read(pipe, 64):
        limits = deadline.current
        time.sleep(GRACE_SECONDS)
        if limits is not deadline.current or not limits.is_over:
            continue
        for wrapper in list(_connections):
            with contextlib.suppress(Exception):
                _shut_down(wrapper.connection.fileno())
        if limits.is_hopeless:
            deadline.end_process()


def _shut_down(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
