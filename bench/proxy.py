"""The time until the proxy has forwarded a request: from the start of a process, and when warm.

The proxy is staged as for a deploy, and a new Python process imports it as Lambda would. The clock
stops when a fake Lambda API on loopback has received the complete Invoke request. The peers are a
minimal proxy with boto3, and a Python process that does nothing.
"""

import atexit
import compileall
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from py_compile import PycInvalidationMode
from statistics import median

from awscdk import code
from bench import environment, in_turns
from bench.events import CHROME, rest
from bench.report import Table

OURS = "djambda's proxy"
BOTO3 = "boto3 proxy"
FLOOR = "bare Python"

STARTS = 3
"""Cold starts of each proxy in a round."""

WARM_CALLS = 50

RESPONSE = json.dumps({"statusCode": 200, "headers": {}, "body": "", "isBase64Encoded": False})

BOTO3_PROXY = """
import json
import os

import boto3

client = boto3.client("lambda")


def lambda_handler(event, context):
    response = client.invoke(
        FunctionName=os.environ["FUNCTION_NAME"], Payload=json.dumps(event).encode()
    )
    return json.loads(response["Payload"].read())
"""

DRIVER = """
import json
import sys
import time
from importlib import import_module


class Context:
    aws_request_id = "8a0f7b4e-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self):
        return 29_000


handler = import_module("proxy").lambda_handler
text = sys.stdin.read()
response = handler(json.loads(text), Context())
events = [json.loads(text) for _ in range(int(sys.argv[1]))]
begin = time.perf_counter()
for event in events:
    handler(event, Context())
spent = time.perf_counter() - begin
print(json.dumps([response["statusCode"], spent / len(events)]))
"""
"""The minimum that the runtime client does for a handler."""

REPORT_START = "import os; os.write(1, b'x')"


def run(rounds: int) -> list[Table]:
    """Return a table of the milliseconds to the forwarded request. A round takes about 3 s."""
    cold: dict[str, list[float]] = {OURS: [], BOTO3: [], FLOOR: []}
    warm: dict[str, list[float]] = {OURS: [], BOTO3: []}
    folders = {OURS: [_helpers()], BOTO3: [_boto3_proxy(), _runtime()]}
    with lambda_api() as api:
        for path in folders.values():  # Compiles every module.
            _start(api, path)
        for name in in_turns(list(cold), rounds * STARTS):
            if name == FLOOR:
                cold[name].append(_start_of_python())
                continue
            to_request, per_call = _start(api, folders[name])
            cold[name].append(to_request)
            warm[name].append(per_call)
    return [
        Table(
            title="The proxy",
            unit="ms",
            columns=("process start to forwarded request", "warm request"),
            rows={
                name: (median(cold[name]), median(warm[name]) if name in warm else None)
                for name in cold
            },
            ours=OURS,
            note=(
                "The time from just before exec until a fake Lambda API on loopback has received "
                "the complete Invoke request, over HTTP without TLS; then the time of a request "
                "over the open connection, including the fake API's part. Medians of "
                f"{rounds * STARTS} processes each, in turns, all with valid bytecode. Bare Python "
                "stops at its first statement."
            ),
        )
    ]


def _helpers() -> Path:
    """Return the helper functions' code, staged as for a deploy."""
    return code.helper_package()


def _boto3_proxy() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="djambda-bench-"))
    atexit.register(shutil.rmtree, folder)
    (folder / "proxy.py").write_text(BOTO3_PROXY)
    compileall.compile_dir(folder, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return folder


def _runtime() -> Path:
    """Return the folder with boto3, which is in /var/runtime on Lambda."""
    return next(environment().parent.parent.glob("lib/python3.*/site-packages"))


def _python() -> str:
    """Return the interpreter behind the peers' virtual environment; Lambda has none."""
    return str(environment().resolve())


class LambdaApi:
    """A fake Lambda API: its URL, and the times at which complete requests arrived."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.arrivals: list[float] = []


@contextmanager
def lambda_api() -> Iterator[LambdaApi]:
    """Run a fake Lambda API that sends a constant response, one connection at a time."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        api = LambdaApi(server.getsockname()[1])
        threading.Thread(target=_serve, args=(server, api), daemon=True).start()
        yield api
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, api: LambdaApi) -> None:
    response = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Amzn-RequestId: fake\r\n"
        f"X-Amz-Executed-Version: $LATEST\r\nContent-Length: {len(RESPONSE)}\r\n\r\n{RESPONSE}"
    ).encode()
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while _receive(connection):
                api.arrivals.append(time.monotonic())
                connection.sendall(response)


def _receive(connection: socket.socket) -> bool:
    """Read one complete request; return False at the end of the connection."""
    data = bytearray()
    needed: int | None = None
    while needed is None or len(data) < needed:
        chunk = connection.recv(65536)
        if not chunk:
            return False
        data += chunk
        head, blank, _ = data.partition(b"\r\n\r\n")
        if needed is None and blank:
            lengths = [
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            ]
            needed = len(head) + len(blank) + sum(lengths)
    return True


def _start(api: LambdaApi, folders: list[Path]) -> tuple[float, float]:
    """Return the milliseconds from just before exec to the first request, and of a warm request."""
    api.arrivals.clear()
    begin = time.monotonic()
    completed = subprocess.run(
        [_python(), "-c", DRIVER, str(WARM_CALLS)],
        input=json.dumps(rest(path="/notes/", headers=CHROME)),
        env={
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": api.url,
            "AWS_REGION": "eu-west-1",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_SESSION_TOKEN": "example" * 100,
            "FUNCTION_NAME": "dev-mysite-djambda-lambda:live",
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    status, seconds = json.loads(completed.stdout)
    if status != 200 or len(api.arrivals) != WARM_CALLS + 1:  # noqa: PLR2004
        raise RuntimeError(f"The proxy returned {status}, and {len(api.arrivals)} requests arrived")
    return (api.arrivals[0] - begin) * 1000, seconds * 1000


def _start_of_python() -> float:
    """Return the milliseconds from just before exec to Python's first statement."""
    ours, theirs = os.pipe()
    begin = time.monotonic()
    with subprocess.Popen([_python(), "-c", REPORT_START], stdout=theirs):
        os.read(ours, 1)
        end = time.monotonic()
    os.close(ours)
    os.close(theirs)
    return (end - begin) * 1000
