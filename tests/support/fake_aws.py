"""A fake AWS for tests of the helper functions: an HTTP server on a free loopback port.

It stands in for the Lambda API, SSM and CloudFormation's response URL. It verifies every signature
with botocore, records the requests, and plays the replies that a test has queued, one per request.
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
    """A complete request. `connection` is the number of its connection."""

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
    """The server as tests see it: its URL, the requests it received, the replies to play."""

    url: str
    requests: list[Received] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)
    early_replies: deque[Reply] = field(default_factory=deque)
    connections: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def will(self, *replies: Reply) -> None:
        """Queue replies to the next requests."""
        self.replies.extend(replies)

    def will_early(self, *replies: Reply) -> None:
        """Queue replies that are sent after the headers, without reading the body."""
        self.early_replies.extend(replies)


def responds(payload: Any = None, status: int = 200, **headers: str) -> Reply:
    """Reply with JSON; header names are written with underscores."""

    def reply(handler: "Handler") -> None:
        body = json.dumps(payload).encode()
        handler.send_response_only(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def fails(error_type: str, status: int, message: str = "from the fake AWS") -> Reply:
    """Reply with an error of a REST API such as Lambda's."""
    return responds({"Type": "User", "Message": message}, status, x_amzn_errortype=error_type)


def function_fails(error_type: str | None, message: str) -> Reply:
    """Reply that the function ran and failed: HTTP 200 with an error header."""
    error = {"errorMessage": message} | ({"errorType": error_type} if error_type else {})
    return responds(error, x_amz_function_error="Unhandled", x_amzn_requestid="django-request")


def sends(raw: bytes) -> Reply:
    """Send these bytes, then close the connection."""

    def reply(handler: "Handler") -> None:
        handler.wfile.write(raw)
        hangs_up(handler)

    return reply


def then_hangs_up(first: Reply) -> Reply:
    """Reply, then close the connection without announcing it."""

    def reply(handler: "Handler") -> None:
        first(handler)
        hangs_up(handler)

    return reply


def hangs_up(handler: "Handler") -> None:
    """Close the connection (FIN) without a response."""
    handler.close_connection = True


def resets(handler: "Handler") -> None:
    """Reset the connection (RST) without a response."""
    no_linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    handler.connection.close()
    handler.close_connection = True


def keeps_silent(handler: "Handler") -> None:
    """Send no response during the test."""
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
    """Run a fake AWS with a function's environment that points to it."""
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
    """Close the connections that earlier calls have left open."""
    while aws_api._idle:
        aws_api._idle.popitem()[1][0].close()


@contextmanager
def fake_aws(host: str) -> Iterator[FakeAws]:
    """Run the server."""

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
    """Return whether botocore computes the same signature for the request."""
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
    """Return the Authorization header that botocore computes for a request with x-amz-date."""
    request = AWSRequest(method, url, headers, body)
    timestamp = headers["x-amz-date"]
    request.context["timestamp"] = timestamp
    # The headers contain the session token already.
    auth = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), service, region)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def custom_resource_event(aws: FakeAws, kind: str, **properties: str) -> CustomResourceEvent:
    """An event of CloudFormation whose response URL, a secret, is on the fake AWS."""
    event: CustomResourceEvent = {
        "RequestType": kind,
        "RequestId": "request-1",
        "ResponseURL": f"{aws.url}/response?X-Amz-Signature=hidden-signature",
        "StackId": f"arn:aws:cloudformation:{REGION}:123456789012:stack/dev-mysite/1",
        "LogicalResourceId": "Release",
        "ResourceProperties": {"ServiceToken": "arn:of:this:function", **properties},
    }
    if kind != "Create":
        event["PhysicalResourceId"] = "made-before"
    return event


@dataclass
class FakeContext:
    """Lambda's context object with a running clock."""

    seconds: float = 29.0
    aws_request_id: str = "own-request"
    started: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.started + self.seconds - time.monotonic()))
