"""The services that a function needs in the cold start benchmark: Lambda's runtime API, SSM and S3.

One HTTP server on loopback sends the function its only event and receives its response. It also
imitates the services that the site uses at startup: SSM for the secrets, S3 for the manifest of the
static files. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Condition, Thread
from typing import Any, Self

INVOCATION = "/2018-06-01/runtime/invocation/"
REQUEST_ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:bench"


@dataclass(frozen=True)
class Result:
    """The result that a function posted; `at` is its arrival in ns of `perf_counter_ns`."""

    at: int
    failed: bool
    content: Any


class RuntimeApi:
    """Sends events to one process after the other; `results` is a queue of the results.

    `secrets` are SSM's parameters by their names below the path, `files` S3's by URL path. SSM
    responds after `ssm_seconds`.
    """

    def __init__(
        self, secrets: Mapping[str, str], files: Mapping[str, bytes], *, ssm_seconds: float = 0
    ) -> None:
        self.secrets = secrets
        self.ssm_seconds = ssm_seconds
        self.files = files
        self.process = 0
        self.results: Queue[Result] = Queue()
        self._event = b""
        self._left = 0
        self._changed = Condition()
        api = self

        class Handler(_Handler):
            runtime = api

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def start(self) -> None:
        """Send nothing to the current process anymore: events are for the next one."""
        with self._changed:
            self.process += 1
            self._left = 0
            self._changed.notify_all()

    def offer(self, event: object, times: int) -> None:
        """Send the event to the current process when it asks for one, this number of times."""
        with self._changed:
            self._event = json.dumps(event).encode()
            self._left = times
            self._changed.notify_all()

    def next_event(self, process: int) -> bytes:
        """Wait for an event for this process and return it, or b"" if there is a newer one."""
        with self._changed:
            self._changed.wait_for(lambda: self._left or process != self.process)
            if process != self.process:
                return b""
            self._left -= 1
            return self._event


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # Send headers and body together.
    runtime: RuntimeApi

    def handle(self) -> None:
        self.process = self.runtime.process
        with suppress(ConnectionError):  # The benchmark kills a waiting function.
            super().handle()

    def do_GET(self) -> None:
        if self.path != f"{INVOCATION}next":
            content = self.runtime.files.get(self.path)
            self._send(200 if content else 404, content or b"")
        elif not (event := self.runtime.next_event(self.process)):
            self.close_connection = True
        else:
            self._send(
                200,
                event,
                **{
                    "Lambda-Runtime-Aws-Request-Id": REQUEST_ID,
                    "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 30_000),
                    "Lambda-Runtime-Invoked-Function-Arn": FUNCTION,
                    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
                },
            )

    def do_POST(self) -> None:
        content = self._read()
        at = time.perf_counter_ns()
        if self.headers.get("X-Amz-Target") == "AmazonSSM.GetParameters":
            time.sleep(self.runtime.ssm_seconds)
            parameters = [
                {"Name": name, "Type": "SecureString", "Value": value}
                for name in json.loads(content)["Names"]
                if (value := self.runtime.secrets.get(name.partition("/bench/")[2]))
            ]
            self._send(200, json.dumps({"Parameters": parameters}).encode())
        else:
            failed = not self.path.endswith("/response")
            self._send(202, b'{"status": "OK"}')
            self.runtime.results.put(Result(at, failed, json.loads(content)))

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing: the benchmark's output is the table."""
