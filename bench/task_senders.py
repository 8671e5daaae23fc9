"""Enqueue tasks with djambda, Zappa and boto3, and measure how long it takes.

Runs in the peers' environment only, one process for each: `python -m bench.task_senders NAME`. It
prints the milliseconds as JSON, those of the first task apart: they include the imports that the
first task causes.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module  # The type checker has no peers.
from statistics import median, quantiles
from typing import Any

import django
from django.conf import settings
from django.db import connection, transaction

DIRECT = "djambda, direct"
QUEUE = "djambda, queue"
ZAPPA = "Zappa's @task"
BOTO3 = "boto3 to SQS"
NAMES = (DIRECT, QUEUE, ZAPPA, BOTO3)

TABLE = "bench_votes"
ARGUMENTS = ("a" * 100, 42)

type Enqueue = Callable[[], object]


def work(text: str, number: int) -> int:
    """Do what a task does: something that can be repeated."""
    return len(text) + number


def djambda() -> Enqueue:
    from django.tasks import task  # noqa: PLC0415 (needs the settings)

    function: Any = task(work)
    return partial(function.enqueue, *ARGUMENTS)


def zappa() -> Enqueue:
    """Return the decorated function as its documentation shows it, called on Lambda."""
    return partial(import_module("zappa.asynchronous").task(work), *ARGUMENTS)


def boto3() -> Enqueue:
    """Return what a producer for SQS does at least."""
    client = import_module("boto3").client("sqs")
    body = json.dumps({"task": "bench.task_senders.work", "args": ARGUMENTS})
    return partial(client.send_message, QueueUrl=os.environ["QUEUE_URL"], MessageBody=body)


SENDERS: dict[str, Callable[[], Enqueue]] = {
    DIRECT: djambda,
    QUEUE: djambda,
    ZAPPA: zappa,
    BOTO3: boto3,
}


def measure(name: str, count: int) -> list[float]:
    """Return the milliseconds of the first task, the median and the 95th percentile of the next,
    and the median of transactions with a task and a row.
    """
    begin = time.perf_counter()
    enqueue = SENDERS[name]()
    enqueue()
    first = (time.perf_counter() - begin) * 1000
    after_commit = enqueue if name in {DIRECT, QUEUE} else partial(transaction.on_commit, enqueue)
    in_transaction = partial(_commit, after_commit)
    in_transaction()  # Connects to the database.
    spent = [_milliseconds(enqueue) for _ in range(count)]
    committed = [_milliseconds(in_transaction) for _ in range(count)]
    if name in {DIRECT, QUEUE} and "boto3" in sys.modules:
        raise RuntimeError("A task of djambda has imported boto3")
    return [first, median(spent), quantiles(spent, n=20)[-1], median(committed)]


def _commit(enqueue: Enqueue) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} DEFAULT VALUES")
        enqueue()


def _milliseconds(action: Enqueue) -> float:
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1000


def set_up(name: str) -> None:
    """Configure Django with the database, and with the backend of djambda if it is measured."""
    own = name in {DIRECT, QUEUE}
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "postgres",
                "USER": "postgres",
                "HOST": os.environ["POSTGRES_SOCKET"],
            }
        },
        INSTALLED_APPS=["djambda.tasks"] if own else [],
        TASKS={"default": {"BACKEND": "djambda.tasks.native.Backend"}} if own else {},
        USE_TZ=True,
    )
    django.setup()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id serial)")
    if own:
        os.environ["DJAMBDA_TASKS"] = "queue" if name == QUEUE else "direct"
        import_module("djambda.tasks.outbox").create_table("default")


def main() -> None:
    """Print the figures of the sender that the command line names."""
    name, count = sys.argv[1], int(sys.argv[2])
    set_up(name)
    print(json.dumps(measure(name, count)))


if __name__ == "__main__":
    main()
