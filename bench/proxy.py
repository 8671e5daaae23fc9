"""How soon the front door passes a request on: from the start of a process, and when it is warm.

The front door is staged as the CDK stages it, and a fresh Python imports it as Lambda would. The
clock stops when a stand-in for the Lambda API on loopback has the whole Invoke request. Beside it
is the proxy that everybody writes, with boto3, and a Python that does nothing.
"""

import atexit
import compileall
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from py_compile import PycInvalidationMode
from statistics import median

from bench import ROOT, environment
from bench.events import CHROME, rest
from bench.report import Table

OURS = "djambda's front door"
BOTO3 = "boto3 proxy"
FLOOR = "bare Python"

STARTS = 3
"""Cold starts of each contestant in a round."""

WARM_CALLS = 50

ANSWER = json.dumps({"statusCode": 200, "headers": {}, "body": "", "isBase64Encoded": False})

BOTO3_PROXY = """
import json
import os

import boto3

client = boto3.client("lambda")


def lambda_handler(event, context):
    answer = client.invoke(
        FunctionName=os.environ["FUNCTION_NAME"], Payload=json.dumps(event).encode()
    )
    return json.loads(answer["Payload"].read())
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
answer = handler(json.loads(text), Context())
events = [json.loads(text) for _ in range(int(sys.argv[1]))]
begin = time.perf_counter()
for event in events:
    handler(event, Context())
spent = time.perf_counter() - begin
print(json.dumps([answer["statusCode"], spent / len(events)]))
"""
"""What the runtime client does for a handler, and nothing else."""

SAYS_THAT_IT_RUNS = "import os; os.write(1, b'x')"


def run(rounds: int) -> list[Table]:
    """Milliseconds to the forwarded request. A round takes about 3 s."""
    cold: dict[str, list[float]] = {OURS: [], BOTO3: [], FLOOR: []}
    warm: dict[str, list[float]] = {OURS: [], BOTO3: []}
    code = {OURS: [_helpers()], BOTO3: [_boto3_proxy(), _runtime()]}
    with lambda_api() as api:
        for folders in code.values():  # Once, so that every module has its bytecode.
            _start(api, folders)
        names = list(cold)
        for number in range(rounds * STARTS):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                if name == FLOOR:
                    cold[name].append(_start_of_python())
                    continue
                to_request, per_call = _start(api, code[name])
                cold[name].append(to_request)
                warm[name].append(per_call)
    return [
        Table(
            title="The front door",
            unit="ms",
            columns=("process start to forwarded request", "warm request"),
            rows={
                name: (median(cold[name]), median(warm[name]) if name in warm else None)
                for name in cold
            },
            ours=OURS,
            note=(
                "From just before exec until a stand-in for the Lambda API on loopback has the "
                "whole Invoke request, over HTTP without TLS; then the time of a request over the "
                f"kept connection, the stand-in's part included. Medians of {rounds * STARTS} "
                "processes each, in turns, all with valid bytecode. Bare Python stops at its "
                "first statement."
            ),
        )
    ]


def _helpers() -> Path:
    """The helper functions' code, staged as a deploy stages it."""
    sys.path.insert(0, str(ROOT / "awscdk"))
    from awscdk.code import helper_package  # noqa: PLC0415 (it loads the CDK, which takes seconds)

    return helper_package()


def _boto3_proxy() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="djambda-bench-"))
    atexit.register(shutil.rmtree, folder)
    (folder / "proxy.py").write_text(BOTO3_PROXY)
    compileall.compile_dir(folder, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return folder


def _runtime() -> Path:
    """Where boto3 is: /var/runtime in Lambda, outside any virtual environment."""
    return next(environment().parent.parent.glob("lib/python3.*/site-packages"))


def _python() -> str:
    """The interpreter behind the rivals' environment, since Lambda has no virtual one."""
    return str(environment().resolve())


class LambdaApi:
    """What the stand-in saw: when the first request of a connection was there in full."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.arrivals: list[float] = []


@contextmanager
def lambda_api() -> Iterator[LambdaApi]:
    """A Lambda API that answers every request alike, one connection at a time."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        api = LambdaApi(server.getsockname()[1])
        threading.Thread(target=_serve, args=(server, api), daemon=True).start()
        yield api
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, api: LambdaApi) -> None:
    answer = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Amzn-RequestId: standin\r\n"
        f"X-Amz-Executed-Version: $LATEST\r\nContent-Length: {len(ANSWER)}\r\n\r\n{ANSWER}"
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
                connection.sendall(answer)


def _receive(connection: socket.socket) -> bool:
    """Read one request to its end; False when there is none any more."""
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


def _start(api: LambdaApi, code: list[Path]) -> tuple[float, float]:
    """Milliseconds from just before exec to the first request, and of a warm one."""
    api.arrivals.clear()
    begin = time.monotonic()
    done = subprocess.run(
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
            "PYTHONPATH": os.pathsep.join(map(str, code)),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    status, seconds = json.loads(done.stdout)
    if status != 200 or len(api.arrivals) != WARM_CALLS + 1:  # noqa: PLR2004
        raise RuntimeError(f"The proxy answered {status} to {len(api.arrivals)} requests")
    return (api.arrivals[0] - begin) * 1000, seconds * 1000


def _start_of_python() -> float:
    """Milliseconds from just before exec to Python's first statement."""
    ours, theirs = os.pipe()
    begin = time.monotonic()
    with subprocess.Popen([_python(), "-c", SAYS_THAT_IT_RUNS], stdout=theirs):
        os.read(ours, 1)
        end = time.monotonic()
    os.close(ours)
    os.close(theirs)
    return (end - begin) * 1000
