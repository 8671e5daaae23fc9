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

WAITING = 1
"""The status of a connection with a command in progress (PQTRANS_ACTIVE).
https://www.postgresql.org/docs/17/libpq-status.html#LIBPQ-PQTRANSACTIONSTATUS"""

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
                _interrupt(wrapper)
        if limits.is_hopeless:
            deadline.end_process()


def _interrupt(wrapper: Any) -> None:
    """Shut down a connection that waits for its server, and have Django replace it.

    Not those that other threads keep for later requests.
    """
    if wrapper.vendor == "postgresql" and wrapper.connection.info.transaction_status != WAITING:
        return
    wrapper.errors_occurred, wrapper.health_check_done = True, False
    with socket.socket(fileno=os.dup(wrapper.connection.fileno())) as connection:
        connection.shutdown(socket.SHUT_RDWR)
