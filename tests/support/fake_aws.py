"""A small AWS: the HTTP server that the tests of the front door and its kin talk to.

It stands in for the Lambda API, SSM and CloudFormation's answer URL on a free loopback port. It
checks every signature with botocore, records what arrived, and answers (or breaks down) as
the test has told it to: one reply for each request, in order.
"""

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from djambda_common import aws_api
from lambda_types import CustomResourceEvent

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "eu-central-1"


@dataclass(frozen=True)
class Received:
    """A request that arrived whole. `connection` tells connections apart."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


type Reply = Callable[["Handler"], None]


@dataclass
class FakeAws:
    """What a test sees of the server: where it is, what arrived, what to reply."""

    url: str
    requests: list[Received] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)
    early_replies: deque[Reply] = field(default_factory=deque)
    connections: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def will(self, *replies: Reply) -> None:
        """Reply to the next requests like this."""
        self.replies.extend(replies)

    def will_early(self, *replies: Reply) -> None:
        """The same, after the headers and without reading the body: it does not arrive."""
        self.early_replies.extend(replies)


def answers(payload: Any = None, status: int = 200, **headers: str) -> Reply:
    """A JSON answer; header names are written with underscores."""

    def reply(handler: "Handler") -> None:
        body = json.dumps(payload).encode()
        handler.send_response_only(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def fails(error_type: str, status: int, message: str = "said the fake AWS") -> Reply:
    """An error of a REST API such as Lambda's."""
    return answers({"Type": "User", "Message": message}, status, x_amzn_errortype=error_type)


def function_fails(error_type: str | None, message: str) -> Reply:
    """The function ran and failed: HTTP 200, and a header that says so."""
    error = {"errorMessage": message} | ({"errorType": error_type} if error_type else {})
    return answers(error, x_amz_function_error="Unhandled", x_amzn_requestid="django-request")


def sends(raw: bytes) -> Reply:
    """These bytes, whatever they are, and then the end of the connection."""

    def reply(handler: "Handler") -> None:
        handler.wfile.write(raw)
        hangs_up(handler)

    return reply


def then_hangs_up(first: Reply) -> Reply:
    """Reply and close the connection without having announced it."""

    def reply(handler: "Handler") -> None:
        first(handler)
        hangs_up(handler)

    return reply


def hangs_up(handler: "Handler") -> None:
    """The connection ends (FIN) instead of an answer."""
    handler.close_connection = True


def resets(handler: "Handler") -> None:
    """The connection breaks (RST) instead of an answer."""
    linger_on_for_no_time = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_on_for_no_time)
    handler.connection.close()
    handler.close_connection = True


def keeps_silent(handler: "Handler") -> None:
    """No answer while the test lasts."""
    handler.fake.stopping.wait(30)
    handler.close_connection = True


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    fake: FakeAws

    @override
    def setup(self) -> None:
        super().setup()
        self.fake.connections += 1
        self.number = self.fake.connections

    @override
    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # The client, or a reply, has broken the connection.
            self.close_connection = True

    @override
    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            return

    @override
    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_POST(self) -> None:
        if self.fake.early_replies:
            self.fake.early_replies.popleft()(self)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(self.command, self.path, headers, body, self.number)
        self.fake.requests.append(received)
        if self.command != "PUT" and not is_well_signed(received):
            fails("InvalidSignatureException", 403)(self)
            return
        self.fake.replies.popleft()(self)

    do_GET = do_PUT = do_POST  # noqa: N815 (the names that http.server calls)


@contextmanager
def lambda_environment(host: str = "127.0.0.1") -> Iterator[FakeAws]:
    """A fake AWS, and the environment of a function whose calls go there."""
    with fake_aws(host) as fake, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", fake.url)
        environment.setenv("AWS_REGION", REGION)
        environment.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        environment.setenv("AWS_SESSION_TOKEN", "a/session+token==")
        try:
            yield fake
        finally:
            forget_connections()


def forget_connections() -> None:
    """As in a new process: what the calls before have left open is closed."""
    while aws_api._idle:
        aws_api._idle.popitem()[1][0].close()


@contextmanager
def fake_aws(host: str) -> Iterator[FakeAws]:
    """The server, running."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True
        request_queue_size = 64

    name = f"[{host}]" if ":" in host else host
    fake = FakeAws(url="")
    bound = type("BoundHandler", (Handler,), {"fake": fake})
    with Server((host, 0), bound) as server:
        fake.url = f"http://{name}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            fake.stopping.set()
            server.shutdown()
            thread.join()


def is_well_signed(received: Received) -> bool:
    """Whether botocore, signing what arrived, comes to the signature that arrived."""
    parts = dict(
        part.strip().split("=", 1)
        for part in received.headers["authorization"].partition(" ")[2].split(",")
    )
    _, _, region, service, _ = parts["Credential"].split("/")
    signed = {name: received.headers[name] for name in parts["SignedHeaders"].split(";")}
    expected = botocore_authorization(
        received.method,
        f"http://{received.headers['host']}{received.path}",
        signed,
        received.body,
        service=service,
        region=region,
    )
    return received.headers["authorization"] == expected


def botocore_authorization(  # noqa: PLR0917
    method: str, url: str, headers: dict[str, str], body: bytes, service: str, region: str
) -> str:
    """The Authorization header that botocore makes for a request which has its x-amz-date."""
    request = AWSRequest(method, url, headers, body)
    timestamp = headers["x-amz-date"]
    request.context["timestamp"] = timestamp
    # The token is among the headers already.
    auth = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), service, region)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def custom_resource_event(aws: FakeAws, kind: str, **properties: str) -> CustomResourceEvent:
    """What CloudFormation sends; its answer URL, a secret, is on the fake AWS."""
    event: CustomResourceEvent = {
        "RequestType": kind,
        "RequestId": "request-1",
        "ResponseURL": f"{aws.url}/answer?X-Amz-Signature=hidden-signature",
        "StackId": f"arn:aws:cloudformation:{REGION}:123456789012:stack/dev-mysite/1",
        "LogicalResourceId": "Release",
        "ResourceProperties": {"ServiceToken": "arn:of:this:function", **properties},
    }
    if kind != "Create":
        event["PhysicalResourceId"] = "made-before"
    return event


@dataclass
class FakeContext:
    """Lambda's context object, with a clock that runs."""

    seconds: float = 29.0
    aws_request_id: str = "own-request"
    started: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.started + self.seconds - time.monotonic()))
