"""The time that each adapter needs to translate an event to a request and a response back.

The parent process starts a worker in the peers' environment for each round. In the worker, the
adapters take turns with short batches of calls; after each batch the same application is called
without an adapter, and the difference is the adapter's overhead. `bench.correctness` adds the
number of checks that each adapter passes.
"""

import json
import logging
import os
import random
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import BytesIO
from statistics import median
from time import process_time_ns
from typing import Any

from bench import correctness, in_environment
from bench.events import CHROME, CONTEXT, Event, rest
from bench.peers import ADAPTERS, OURS, Handler
from bench.report import Table

BARE = "bare WSGI"
PASSES = 50
"""Turns of each adapter in a worker."""

TURN_MICROSECONDS = 2_000
"""The approximate length of a turn: short, because the machine's load varies."""

MOST_CALLS = 200

type Turn = tuple[float, float]
"""Microseconds per call, and per call of the bare application right after."""

UPLOAD = bytes(range(256)) * 4096


@dataclass(frozen=True)
class Workload:
    """One request and the body of a correct response; None accepts any body."""

    title: str
    event: Event
    expected: bytes | None
    null: bool = False


WORKLOADS = (
    Workload("null app", rest(path="/hello/", headers=CHROME), b"ok", null=True),
    Workload("hello", rest(path="/hello/", headers=CHROME), b"Hello, world"),
    Workload("JSON 10 KB", rest(path="/rows/", headers=CHROME), None),
    Workload("3 cookies", rest(path="/cookies/", headers=CHROME), b"Three cookies"),
    Workload("1 MiB down", rest(path="/down/", headers=CHROME), None),
    Workload(
        "1 MiB up",
        rest(
            "POST",
            "/up/",
            headers=(*CHROME, ("content-type", "application/octet-stream")),
            body=UPLOAD,
        ),
        str(len(UPLOAD)).encode(),
    ),
)


def run(rounds: int) -> list[Table]:
    """Return tables of the overhead and of the failed checks. A round takes 20 s."""
    results = correctness.results()
    measured = [in_environment("bench.adapters", str(number)) for number in range(rounds)]
    turns = {
        workload.title: {
            name: [turn for worker in measured for turn in worker[workload.title].get(name, ())]
            for name in ADAPTERS
        }
        for workload in WORKLOADS
    }
    bare = ", ".join(
        f"{title} {median(without for _, without in turns[title][OURS]):,.1f}" for title in turns
    )
    speed = Table(
        title="The adapter: from event to WSGI and back",
        unit="µs over bare WSGI",
        columns=tuple(turns),
        rows={name: tuple(_overhead(turns[title][name]) for title in turns) for name in ADAPTERS},
        ours=OURS,
        note=(
            "The event is a request by Chrome through a REST API, decoded from JSON for each call. "
            "The null app responds immediately; the other columns are Django 6.1 with "
            "startproject's middleware. Bare WSGI is the same application without an adapter; its "
            f"response is read and closed ({bare} µs). Figures are the additional processor time, "
            f"medians of {rounds} processes with {PASSES} turns each. aws-wsgi and serverless-wsgi "
            "do not close Django's response, which leaves database connections open: they skip "
            "part of the work and may be faster than bare WSGI. Zappa runs its own handler without "
            "its settings module, at log level INFO. Mangum calls ASGI applications."
        ),
        extra={name: correctness.score(checks) for name, checks in results.items()},
        extra_title="correct",
    )
    return [speed, correctness.table(results)]


def _overhead(turns: list[Turn]) -> float | None:
    return median(figure - without for figure, without in turns) if turns else None


# In the worker


def measure(seed: int) -> dict[str, dict[str, list[Turn]]]:
    """Return the turns of each adapter for each workload, one turn per pass."""
    from bench import pages  # noqa: PLC0415 (the parent has no Django)

    django_wsgi, django_asgi = pages.django_applications()
    figures = {}
    for workload in WORKLOADS:
        wsgi = pages.null_wsgi if workload.null else django_wsgi
        asgi = pages.null_asgi if workload.null else django_asgi
        text = json.dumps(workload.event)
        handlers: dict[str, Handler] = {BARE: bare(wsgi, workload.event)}
        for name, adapter in ADAPTERS.items():
            handler = adapter.make(asgi if adapter.asgi else wsgi, None)
            if _is_correct(handler, workload):
                handlers[name] = handler
        figures[workload.title] = _take_turns(handlers, text, seed)
    return figures


def bare(application: Any, event: Event) -> Handler:
    """Return a handler that calls the application with the environ that our adapter produces."""
    environ: dict[str, Any] = {}

    def capture(wsgi_environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        environ.update(wsgi_environ)
        start_response("200 OK", [])
        return []

    ADAPTERS[OURS].make(capture, None)(event, CONTEXT)
    body = environ["wsgi.input"].read()

    def handler(_event: Event, _context: object) -> dict[str, Any]:
        started: list[Any] = []

        def start_response(*arguments: Any) -> None:
            started.extend(arguments)

        chunks = application({**environ, "wsgi.input": BytesIO(body)}, start_response)
        try:
            return {"body": b"".join(chunks)}
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    return handler


def _is_correct(handler: Handler, workload: Workload) -> bool:
    event = json.loads(json.dumps(workload.event))
    received = correctness.received(event, handler(event, CONTEXT))
    return received.status == 200 and workload.expected in {None, received.body}  # noqa: PLR2004


def _take_turns(handlers: dict[str, Handler], text: str, seed: int) -> dict[str, list[Turn]]:
    """Return one turn per adapter and pass, each followed by one of the bare application.

    The order is random: in a rotation, each adapter would always follow the same one.
    """
    without_adapter = handlers.pop(BARE)
    calls = {
        name: max(1, min(MOST_CALLS, int(TURN_MICROSECONDS / _turn(handler, text, 3))))
        for name, handler in handlers.items()
    }
    turns: dict[str, list[Turn]] = {name: [] for name in handlers}
    order = random.Random(seed)  # noqa: S311 (not a secret)
    for _ in range(PASSES):
        for name in order.sample(list(handlers), len(handlers)):
            figure = _turn(handlers[name], text, calls[name])
            turns[name].append((figure, _turn(without_adapter, text, calls[name])))
    return turns


def _turn(handler: Handler, text: str, calls: int) -> float:
    """Return the microseconds per call in process time, which excludes other processes.

    Each call gets a new event, as in Lambda. The first call is not counted, because another adapter
    has filled the processor's caches.
    """
    handler(json.loads(text), CONTEXT)
    spent = 0
    for _ in range(calls):
        event = json.loads(text)
        begin = process_time_ns()
        handler(event, CONTEXT)
        spent += process_time_ns() - begin
    return spent / calls / 1000


if __name__ == "__main__":
    logging.basicConfig(stream=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    with redirect_stdout(sys.stderr):
        figures = measure(int(sys.argv[1]))
    sys.stdout.write(json.dumps(figures))
