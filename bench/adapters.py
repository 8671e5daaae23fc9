"""What turning an event into a request and an answer costs, adapter by adapter, and who is right.

The parent starts a worker in the rivals' environment for each round; there, contestants take turns
with short batches, next to the same application called without any adapter. What is above that is
the adapter's own. `bench.correctness` adds how many of its checks each adapter passes.
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
from bench.peers import CONTESTANTS, OURS, Handler
from bench.report import Table

BARE = "bare WSGI"
PASSES = 50
"""Turns of each contestant in a worker."""

TURN_MICROSECONDS = 2_000
"""How long a turn takes, more or less: short, since the machine is not the same all the time."""

MOST_CALLS = 200

type Turn = tuple[float, float]
"""Microseconds per call, and those of the bare application right after."""

UPLOAD = bytes(range(256)) * 4096


@dataclass(frozen=True)
class Workload:
    """One request, and the body that shows that it was answered; None: any mebibyte."""

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
    """The adapters' overhead in microseconds, and their failed checks. A round takes 20 s."""
    results = correctness.results()
    measured = [in_environment("bench.adapters", str(number)) for number in range(rounds)]
    turns = {
        workload.title: {
            name: [turn for worker in measured for turn in worker[workload.title].get(name, ())]
            for name in CONTESTANTS
        }
        for workload in WORKLOADS
    }
    bare = ", ".join(
        f"{title} {median(without for _, without in turns[title][OURS]):,.1f}" for title in turns
    )
    speed = Table(
        title="The bridge: from event to WSGI and back",
        unit="µs over bare WSGI",
        columns=tuple(turns),
        rows={
            name: tuple(_overhead(turns[title][name]) for title in turns) for name in CONTESTANTS
        },
        ours=OURS,
        note=(
            "One REST API event as Chrome causes it, decoded anew from JSON before each call. "
            "The null app answers at once; the other columns are Django 6.1 with startproject's "
            f"middleware. Bare WSGI is the same application, its answer read and closed ({bare} "
            f"µs); figures are what comes on top in processor time, medians of {rounds} processes "
            f"with {PASSES} turns each. aws-wsgi and serverless-wsgi do not close Django's "
            "response, which leaves database connections open: their figures lack a step of the "
            "work, and may be below bare. Zappa runs its own handler without its settings module, "
            "at log level INFO. Mangum calls ASGI applications."
        ),
        extra={name: correctness.score(checks) for name, checks in results.items()},
        extra_title="correct",
    )
    return [speed, correctness.table(results)]


def _overhead(turns: list[Turn]) -> float | None:
    return median(figure - without for figure, without in turns) if turns else None


# In the worker


def measure(seed: int) -> dict[str, dict[str, list[Turn]]]:
    """Workload -> contestant -> one turn for each pass."""
    from bench import pages  # noqa: PLC0415 (Django is not in the parent)

    django_wsgi, django_asgi = pages.django_applications()
    figures = {}
    for workload in WORKLOADS:
        wsgi = pages.null_wsgi if workload.null else django_wsgi
        asgi = pages.null_asgi if workload.null else django_asgi
        text = json.dumps(workload.event)
        handlers: dict[str, Handler] = {BARE: bare(wsgi, workload.event)}
        for name, contestant in CONTESTANTS.items():
            handler = contestant.make(asgi if contestant.asgi else wsgi, None)
            if _answers(handler, workload):
                handlers[name] = handler
        figures[workload.title] = _take_turns(handlers, text, seed)
    return figures


def bare(application: Any, event: Event) -> Handler:
    """The application, called with the environ that our adapter makes of the event."""
    environ: dict[str, Any] = {}

    def capture(given: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        environ.update(given)
        start_response("200 OK", [])
        return []

    CONTESTANTS[OURS].make(capture, None)(event, CONTEXT)
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


def _answers(handler: Handler, workload: Workload) -> bool:
    event = json.loads(json.dumps(workload.event))
    received = correctness.received(event, handler(event, CONTEXT))
    return received.status == 200 and workload.expected in {None, received.body}  # noqa: PLR2004


def _take_turns(handlers: dict[str, Handler], text: str, seed: int) -> dict[str, list[Turn]]:
    """One turn for each contestant in each pass; the bare application follows it at once.

    The order is drawn by lot: in a mere rotation one would always come after the same other.
    """
    without_adapter = handlers.pop(BARE)
    calls = {
        name: max(1, min(MOST_CALLS, int(TURN_MICROSECONDS / _turn(handler, text, 3))))
        for name, handler in handlers.items()
    }
    turns: dict[str, list[Turn]] = {name: [] for name in handlers}
    lot = random.Random(seed)  # noqa: S311 (no secret)
    for _ in range(PASSES):
        for name in lot.sample(list(handlers), len(handlers)):
            figure = _turn(handlers[name], text, calls[name])
            turns[name].append((figure, _turn(without_adapter, text, calls[name])))
    return turns


def _turn(handler: Handler, text: str, calls: int) -> float:
    """Microseconds per call, in the process's own time: what else runs there does not count.

    The event is a new one each time, as it is in Lambda. The first call does not count either: it
    finds the processor's caches as another adapter has left them.
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
