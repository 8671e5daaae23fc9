"""Visitors of the shop, who read, log in, and add products with and without a picture.

Each keeps a record of every request. A write has a name that occurs once, so that the end shows
whether it exists, and how often.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import count
from threading import Event, Thread

import httpx

from tests.cloud.local import Cloud, log_in

WRITES = ("note", "upload")
KINDS = {"home": 15, "health": 15, "list": 20, "login": 2, "note": 30, "upload": 18}
"""The kinds of requests and how often they occur."""

PAUSES = (0.2, 1.0)
"""The shortest and the longest time between two requests of a visitor."""

PICTURE_BYTES = (1_000, 150_000)
CLIENT_SECONDS = 40
"""API Gateway gives up after 29 s."""

NOT_PROCESSED = "was not processed"
"""The proxy's promise that nothing ran (`djambda_common.problem`)."""


class Outcome(Enum):
    """A visitor's knowledge about a request."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    LOGGED_OUT = "logged out"


@dataclass(frozen=True)
class Visit:
    """A request with its times (`time.monotonic`), and a description of what the visitor saw.

    `name` is that of the product, `picture` the content of its picture.
    """

    kind: str
    begin: float
    end: float
    outcome: Outcome
    saw: str
    name: str = ""
    picture: bytes = b""


class Names:
    """Names for the products of one run, which all begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._numbers = count()

    def new(self) -> str:
        """Return the next name; safe in threads."""
        return f"{self.prefix}-{next(self._numbers):06}"


class Visitor(Thread):
    """A visitor, who stops when `done` is set. Raises nothing: everything is in `visits`."""

    def __init__(self, cloud: Cloud, names: Names, done: Event, seed: int) -> None:
        super().__init__(daemon=True)
        self._cloud, self._names, self._done = cloud, names, done
        self._random = random.Random(seed)  # noqa: S311
        self._logged_in = False
        self.visits: list[Visit] = []

    def run(self) -> None:
        """Visit the site until the end."""
        with self._cloud.browser() as browser:
            browser.timeout = httpx.Timeout(CLIENT_SECONDS)
            while not self._done.wait(self._random.uniform(*PAUSES)):
                kind = self._random.choices([*KINDS], [*KINDS.values()])[0]
                if not self._logged_in and kind not in {"home", "health"}:
                    kind = "login"
                visit = self._visit(browser, kind)
                self.visits.append(visit)
                if kind == "login":
                    self._logged_in = visit.outcome is Outcome.SUCCEEDED
                elif visit.outcome is Outcome.LOGGED_OUT:
                    self._logged_in = False

    def _visit(self, browser: httpx.Client, kind: str) -> Visit:
        name, picture = "", b""
        if kind in WRITES:
            name = self._names.new()
        if kind == "upload":
            picture = self._random.randbytes(self._random.randint(*PICTURE_BYTES))
        begin = time.monotonic()
        try:
            outcome, saw = judge(kind, self._request(browser, kind, name, picture))
        except httpx.HTTPError as error:
            outcome, saw = Outcome.UNKNOWN, type(error).__name__
        return Visit(kind, begin, time.monotonic(), outcome, saw, name, picture)

    def _request(
        self, browser: httpx.Client, kind: str, name: str, picture: bytes
    ) -> httpx.Response:
        if kind == "login":
            browser.cookies.clear()
            page = browser.get("accounts/login/")
            return log_in(browser, self._cloud) if page.is_success else page
        if kind in WRITES:
            return browser.post(
                "products/new/",
                data={"csrfmiddlewaretoken": browser.cookies["csrftoken"], "name": name},
                files={"picture": (f"{name}.bin", picture)} if picture else {},
                headers={"Origin": f"http://{browser.headers['Host']}"},
            )
        path = {"home": "", "health": "healthz", "list": "admin/catalog/product/"}[kind]
        return browser.get(path)


def judge(kind: str, response: httpx.Response) -> tuple[Outcome, str]:
    """Return the outcome that a response states, and a short description of it."""
    location = response.headers.get("location", "")
    if "/login/" in location:
        return Outcome.LOGGED_OUT, "logged out"
    if response.is_redirect if kind in {"login", *WRITES} else response.is_success:
        return Outcome.SUCCEEDED, ""
    try:
        error = str(response.json().get("error", ""))
    except (ValueError, AttributeError):
        error = ""
    refused = response.is_client_error or NOT_PROCESSED in response.text
    outcome = Outcome.REFUSED if refused else Outcome.UNKNOWN
    return outcome, f"{response.status_code} {error}".strip()


@contextmanager
def traffic(cloud: Cloud, *, prefix: str, clients: int, seed: int) -> Iterator[list[Visitor]]:
    """Let visitors visit the site during the block; their writes have names with `prefix`."""
    done, names = Event(), Names(prefix)
    visitors = [Visitor(cloud, names, done, seed + number) for number in range(clients)]
    for visitor in visitors:
        visitor.start()
    try:
        yield visitors
    finally:
        done.set()
        for visitor in visitors:
            visitor.join(2 * CLIENT_SECONDS)
