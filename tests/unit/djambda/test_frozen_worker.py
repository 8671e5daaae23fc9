"""Sessions of functions that Lambda has frozen: they end, so that the database can pause."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.support.waiting import wait_until
from tests.unit.djambda.conftest import DJANGO, SHOP

WORKER = """
import json, sys
import django, shop.settings
shop.settings.DATABASES = json.loads(sys.argv[1])
django.setup()
from django.core.signals import request_finished, request_started
from django.db import connection
from djambda import deadline
for _ in sys.stdin:
    with deadline.limited_request({}, None):
        request_started.send(None, environ={})
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            print(cursor.fetchone()[0], flush=True)
        request_finished.send(None)
"""


class Worker:
    """A process that serves requests, and can be frozen between two of them."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def serve(self) -> int:
        """Serve one request that queries the database; return its session."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self._process.pid, signal.SIGSTOP)
        yield
        os.kill(self._process.pid, signal.SIGCONT)


@pytest.fixture
def worker(django_db_setup: None) -> Iterator[Worker]:
    parameters = connection.settings_dict
    database: dict[str, Any] = {
        **{name: str(parameters[name]) for name in ("HOST", "NAME", "USER")},
        "ENGINE": "djambda.db",
        "CONN_MAX_AGE": 50,
        "CONN_HEALTH_CHECKS": True,
        # The cluster's parameter is 60 s.
        "OPTIONS": {"options": "-c idle_session_timeout=500", "sslmode": "disable"},
    }
    folders = [DJANGO, SHOP, Path(DJANGO).parent / "common"]
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, json.dumps({"default": database})],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "DJANGO_SETTINGS_MODULE": "shop.settings",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield Worker(process)
    process.kill()
    process.communicate()


def exists(session: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [session])
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)  # The statistics are those of the transaction.
def test_session_of_a_frozen_worker_ends_and_is_replaced(worker: Worker) -> None:
    session = worker.serve()
    with worker.frozen():
        assert exists(session)
        wait_until(lambda: not exists(session))

    assert worker.serve() != session


@pytest.mark.django_db(transaction=True)
def test_session_is_kept_between_two_requests(worker: Worker) -> None:
    assert worker.serve() == worker.serve()
