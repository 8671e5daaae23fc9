"""The time to enqueue a background task: the first of a process, the next, and in a transaction.

A fake AWS on loopback accepts everything, so the figures are those of the client's code, without
AWS's part. The peers are Zappa's `@task` and a producer for SQS with boto3.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from threading import Thread
from unittest.mock import patch

from bench import ROOT, in_environment, in_turns
from bench.packages import CREDENTIALS
from bench.report import Table
from bench.task_senders import DIRECT, NAMES
from djambda_cli.local import shared_postgres

COLUMNS = ("first task", "next tasks", "95th percentile", "in a transaction")
COUNT = 200
"""Tasks of each kind in a process."""


def run(rounds: int) -> list[Table]:
    """Return a table of the milliseconds to enqueue a task. A round takes about 10 s."""
    figures: dict[str, list[list[float]]] = {name: [] for name in NAMES}
    with fake_aws() as url, patch.dict(os.environ, variables(url)):
        for name in in_turns(NAMES, rounds):
            figures[name].append(in_environment("bench.task_senders", name, str(COUNT)))
    return [
        Table(
            title="Background tasks",
            unit="ms",
            columns=COLUMNS,
            rows={
                name: tuple(median(column) for column in zip(*figures[name], strict=True))
                for name in NAMES
            },
            ours=DIRECT,
            note=(
                "The time to enqueue a task, with a fake AWS on loopback over HTTP: the first of a "
                "process with the imports and connections that it causes, then the next over open "
                "connections, and transactions that insert a row and enqueue a task, until the "
                "task is sent. djambda also writes a record for the result, and in a transaction a "
                "row of the outbox; the peers send after the commit (`transaction.on_commit`), and "
                "lose the task if the process ends in between. "
                f"Medians of {rounds} processes with {COUNT} tasks of each kind, in turns."
            ),
        )
    ]


def variables(url: str) -> dict[str, str]:
    """Return the environment of a function whose AWS is at this URL."""
    function = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    return {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_LAMBDA_FUNCTION_NAME": "bench",  # Zappa's tasks run at once elsewhere.
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_REGION": "us-east-1",
        "AWS_STORAGE_BUCKET_NAME": "bench-assets",
        "DJAMBDA_TASKS_QUEUE": f"{url}/123456789012/bench",
        "DJAMBDA_TASKS_TARGET": f"{function}:tasks",
        "POSTGRES_SOCKET": str(shared_postgres.start(ROOT / ".local" / "bench-postgres")),
        "QUEUE_URL": f"{url}/123456789012/bench",
        **CREDENTIALS,
    }


class _Aws(BaseHTTPRequestHandler):
    """Accepts events of Lambda, messages of SQS and objects of S3."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # Send headers and body together.

    def do_PUT(self) -> None:
        self._accept(200, b"")

    def do_POST(self) -> None:
        if self.headers.get("X-Amz-Target") == "AmazonSQS.SendMessage":
            self._accept(200, json.dumps({"MessageId": "1"}).encode())
        else:
            self._accept(202, b"")

    def _accept(self, status: int, content: bytes) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing: the benchmark's output is the table."""


@contextmanager
def fake_aws() -> Iterator[str]:
    """Run an AWS that accepts everything, and return its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Aws)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
