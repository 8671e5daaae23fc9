"""A visitor who requests a page all the time, to see that a deploy interrupts nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from tests.cloud.local import Cloud


@contextmanager
def constant_visits(cloud: Cloud) -> Iterator[list[int]]:
    """Request a page all the time and yield the responses' statuses.

    At least three requests start before and after the block, however short it is.
    """
    statuses: list[int] = []
    done = Event()

    def visit() -> None:
        with cloud.browser() as client:
            while not done.wait(0.1):
                statuses.append(client.get("healthz").status_code)

    visits = Thread(target=visit)
    visits.start()

    def wait_for_three() -> None:
        wanted = len(statuses) + 3
        while len(statuses) < wanted and visits.is_alive():
            time.sleep(0.05)

    try:
        wait_for_three()
        yield statuses
        wait_for_three()
    finally:
        done.set()
        visits.join()
