"""The time that the running request or command has, and what stops a request that exceeds it.

A visitor whose request takes too long gets an error from the proxy. A request that ran on would
write data after that, and occupy a function, a connection and locks for up to 15 minutes. The
handler (`awslambda.py`) sets the deadline, a signal ends the request, and the database backend
(`db/base.py`) limits connecting and each statement to the time that is left.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

from djambda_common.gateway_time import GATEWAY_SECONDS, remaining_seconds, seconds_since

RESPONSE_SECONDS = 1.0
"""The time that the proxy needs to deliver the response of a request that has been stopped."""

NAVIGATION_SECONDS = 3.0
"""The time after which a visitor sees a page that explains the wait for the database."""

INIT_SECONDS = 2.0
"""The time that INIT waits for the database. Lambda ends INIT after 10 s:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib"""

COMMAND_SECONDS = 120.0
"""The time that a command waits for the database, which can take more than 30 s to resume after a
day: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html"""

LATE_SECONDS = 0.5
"""The time for a call of another service that reports a request that has been stopped."""

CONNECT_RESERVE = 2.0
"""libpq waits at least this long for a connection, which no signal interrupts."""

SIGNALS = 5
"""The request gets this many signals, one each second, in case its code catches the exception.
Then the process ends."""

THREADS_SECONDS = 0.2
"""The time for stopping the threads of a request: part of `RESPONSE_SECONDS`."""

IDLE_CHECKS = 2
"""The checks in a row after which the threads of a request count as stopped."""

LIBRARY = os.path.dirname(os.__file__)  # noqa: PTH120 (fast)

WAITING = {
    *(f"{LIBRARY}/threading.py", f"{LIBRARY}/selectors.py"),
    f"{LIBRARY}/multiprocessing/connection.py",
}
"""The modules with whose functions threads wait."""

WAITING_FOR_WORK = {
    (f"{LIBRARY}/{file}", name)
    for file, name in (
        ("queue.py", "get"),
        ("concurrent/futures/thread.py", "_worker"),
        ("multiprocessing/pool.py", "worker"),
        ("multiprocessing/pool.py", "_wait_for_updates"),
    )
}
"""Those in which threads wait that have nothing to do."""


class RequestTimedOut(BaseException):
    """The request has used up its time. Not an `Exception`, so that no view handles it."""


class DatabaseNeeded(BaseException):
    """Code that must not continue without the database has asked for a connection in vain.

    Not an `Exception`, because such code, as that of django CMS, handles those: it would continue
    as if the site had no content.
    """


own_threads: set[threading.Thread] = set()
"""The runtime's own threads, which no request has started."""


class Deadline:
    """The limits of a request, a command, or INIT; the times are those of `time.monotonic`.

    `ends` is None if nothing stops it. `is_late` becomes true when a request has failed, and its
    visitor waits for the response that says so, `asleep` when connecting to the database has been
    given up because of `error`, `connected` when a connection has worked, and `acted` before an
    unsafe request sends something that is not undone, such as mail. While `required` is true,
    giving up raises `DatabaseNeeded`.
    """

    def __init__(
        self,
        *,
        connect_seconds: float,
        seconds: float | None = None,
        waited: float = 0,
        is_command: bool = False,
    ) -> None:
        now = time.monotonic()
        self.is_command = is_command
        self.received = now - waited
        self.connect_by = now + connect_seconds
        self.ends = None if seconds is None else now + seconds
        self.is_late = False
        self.asleep = False
        self.error: Exception | None = None
        self.connected = False
        self.acted = False
        self.is_safe = True
        self.required = False
        self._threads = set(threading.enumerate())

    @property
    def connect_seconds(self) -> float:
        """The seconds that connecting may still take, in a command each time."""
        begin = self.received if self.is_command else time.monotonic()
        return max(0, self.connect_by - begin)

    @contextlib.contextmanager
    def require_database(self, *, wait: bool) -> Iterator[None]:
        """Raise `DatabaseNeeded` in the body if it connects in vain, or unless `wait`, at all."""
        asleep, self.required, self.asleep = self.asleep, True, self.asleep or not wait
        try:
            yield
        finally:
            self.asleep, self.required = asleep or (wait and self.asleep), False

    def give_up(self, error: Exception | None = None) -> None:
        """Do not connect again. Raises `DatabaseNeeded` if the database is required."""
        self.asleep = True
        self.error = self.error or error
        if self.required:
            raise DatabaseNeeded("the database does not respond yet")

    def act(self) -> None:
        """Note that the request sends something, unless that reports the database's absence."""
        self.acted = self.acted or not (self.is_safe or self.asleep)

    @property
    def is_without_database(self) -> bool:
        """True if connecting has been given up, and no connection has worked before."""
        return self.asleep and not self.connected

    @property
    def is_over(self) -> bool:
        """True if a request is running although its time is over."""
        return self.ends is not None and time.monotonic() >= self.ends

    def check(self) -> None:
        """Raise `RequestTimedOut` if the time is over, e.g. if a view uses the timer itself."""
        if self.is_over:
            _time_out()

    @property
    def is_hopeless(self) -> bool:
        """True if the request has had all of its signals, and still runs."""
        return self.ends is not None and time.monotonic() >= self.ends + SIGNALS

    def started_threads(self) -> set[threading.Thread]:
        """Return the threads that the request or command has started and that still run."""
        return set(threading.enumerate()) - self._threads - own_threads

    def show_page_soon(self) -> None:
        """Limit connecting for a visitor who sees nothing until there is a page."""
        self.connect_by = min(self.connect_by, self.received + NAVIGATION_SECONDS)


current = Deadline(connect_seconds=INIT_SECONDS)


def start_command(connect_seconds: float = COMMAND_SECONDS) -> None:
    """Let the command that runs now wait for the database as long as it may need to resume."""
    global current  # noqa: PLW0603 (a process serves one event at a time)
    current = Deadline(connect_seconds=connect_seconds, is_command=True)


@contextlib.contextmanager
def limited_request(event: dict[str, Any], context: object) -> Iterator[None]:
    """Raise `RequestTimedOut` in the body when the visitor's time is over.

    Raise it also in the threads that the body has started. Outside the main thread, where Python
    delivers no signals, nothing is raised.
    """
    global current  # noqa: PLW0603 (as above)
    waited = seconds_since(_received(event))
    seconds = max(0.1, min(GATEWAY_SECONDS - waited, _remaining(context)) - RESPONSE_SECONDS)
    current = deadline = Deadline(
        connect_seconds=seconds - CONNECT_RESERVE, seconds=seconds, waited=waited
    )
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stop = _Stop()
    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    except RequestTimedOut:
        deadline.is_late = True
        raise
    finally:
        try:
            stop.enabled = False
        finally:  # The signal may have interrupted the line above; the next one is a second away.
            stop.enabled = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous or signal.SIG_DFL)
            deadline.ends = None


def _received(event: dict[str, Any]) -> object:
    """Return the time at which the gateway received the request, in milliseconds.

    The field is requestTimeEpoch in payload 1.0 and timeEpoch in payload 2.0.
    """
    gateway = event.get("requestContext")
    gateway = gateway if isinstance(gateway, dict) else {}
    return gateway.get("requestTimeEpoch", gateway.get("timeEpoch"))


def _remaining(context: object) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining_seconds(remaining()) if remaining else GATEWAY_SECONDS


class _Stop:
    """The signal handler that stops a request."""

    def __init__(self) -> None:
        self.enabled = True
        self._signals = 0

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if not self.enabled:
            return
        self._signals += 1
        if self._signals > SIGNALS:
            end_process()
        _raise_in_threads()
        _time_out()


def _time_out() -> NoReturn:
    raise RequestTimedOut("the request took longer than its visitor can wait")


def stop_threads() -> None:
    """Stop the threads of a request that has been stopped: they may have more work waiting."""
    ends = time.monotonic() + THREADS_SECONDS
    idle = 0
    # A thread between two pieces of work looks as if it had none.
    while idle < IDLE_CHECKS and time.monotonic() < ends:
        idle = 0 if _raise_in_threads() else idle + 1
        time.sleep(THREADS_SECONDS / 20)


def end_process() -> NoReturn:
    """End the process of a request that cannot be stopped, and log where it hangs."""
    import faulthandler  # noqa: PLC0415 (rarely needed)

    faulthandler.dump_traceback(sys.__stderr__.fileno() if sys.__stderr__ else 2)
    os._exit(1)


def _raise_in_threads() -> bool:
    """Raise `RequestTimedOut` in the threads of the request; return whether there are any.

    Threads of pools that wait for work are left alone: the exception would end them as soon as a
    later request has some, and the pool would not notice.
    """
    threads = [thread for thread in current.started_threads() if not _waits_for_work(thread)]
    for thread in threads:
        _raise_in(thread)
    return bool(threads)


def _waits_for_work(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    while frame and frame.f_code.co_filename in WAITING:
        frame = frame.f_back
    code = frame and frame.f_code
    return code is not None and (code.co_filename, code.co_name) in WAITING_FOR_WORK


def _raise_in(thread: threading.Thread) -> None:
    """Raise `RequestTimedOut` in a thread, as soon as it runs Python code."""
    import ctypes  # noqa: PLC0415 (rarely needed)

    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(RequestTimedOut)
        )
