"""HTTP servers that listen on IPv4 only, for tests of the egress function and its adapters."""

import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, override

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
SILENCE = 20.0
"""Seconds that a hanging server waits, unless the test ends before."""


@dataclass
class Received:
    """A request as the server has received it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Server:
    """A running server: its port, and the requests that it has received."""

    port: int
    requests: list[Received] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The URL by the address of IPv4."""
        return f"http://{HOST}:{self.port}"

    @property
    def only(self) -> Received:
        """The only request."""
        [request] = self.requests
        return request


class Handler(BaseHTTPRequestHandler):
    """Responds as the path says: /status/204, /redirect/2, /gzip, /bytes/10, /hang, ..."""

    protocol_version = "HTTP/1.1"
    server_of_test: Server

    @override
    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # The client, or a reply, has broken the connection.
            self.close_connection = True

    def respond(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        received = Received(self.command, self.path, self.headers.items(), body)
        self.server_of_test.requests.append(received)
        name, _, argument = self.path.partition("?")[0].strip("/").partition("/")
        getattr(self, f"reply_{name or 'echo'}")(argument)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = respond  # noqa: N815

    def send(
        self, body: bytes, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in {204, 304}:
            self.wfile.write(body)

    def reply_echo(self, _argument: str) -> None:
        """Send the request back."""
        received = self.server_of_test.requests[-1]
        content: dict[str, Any] = {
            "method": received.method,
            "path": received.path,
            "headers": received.headers,
            "body": received.body.decode("latin-1"),
        }
        json_type = ("Content-Type", "application/json")
        self.send(json.dumps(content).encode(), headers=(json_type,))

    def reply_status(self, status: str) -> None:
        self.send(b"a body", int(status), (("ETag", '"x"'),))

    def reply_cookies(self, _argument: str) -> None:
        self.send(b"", headers=(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")))

    def reply_redirect(self, count: str) -> None:
        target = f"/redirect/{int(count) - 1}" if int(count) > 1 else "/echo"
        self.send(b"", 302, (("Location", target),))

    def reply_gzip(self, _argument: str) -> None:
        self.send(gzip.compress(b"compressed"), headers=(("Content-Encoding", "gzip"),))

    def reply_bytes(self, size: str) -> None:
        self.send(b"x" * int(size))

    def reply_chunked(self, _argument: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")

    def reply_last(self, _argument: str) -> None:
        """Send a body with its length, and announce the end of the connection."""
        self.send(b"a body", headers=(("Connection", "close"),))

    def reply_hints(self, _argument: str) -> None:
        """Send two early responses before the final one."""
        for status in (102, 103):
            self.send_response_only(status)
            self.send_header("Link", "</style.css>; rel=preload")
            self.end_headers()
        self.send(b"a body")

    def reply_hang(self, _argument: str) -> None:
        self.server_of_test.stopping.wait(SILENCE)
        self.close_connection = True

    def reply_drip(self, _argument: str) -> None:
        """Send a byte every 50 ms, without an end."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.server_of_test.stopping.is_set():
            self.wfile.write(b"x")
            time.sleep(0.05)

    def reply_close(self, _argument: str) -> None:
        """Close the connection without a response."""
        self.close_connection = True

    def reply_cut(self, _argument: str) -> None:
        """Close the connection within the body."""
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"a part")
        self.close_connection = True

    @override
    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def http_server(context: ssl.SSLContext | None = None, host: str = HOST) -> Iterator[Server]:
    """Run a server, with TLS if there is a context."""

    class Http(ThreadingHTTPServer):
        daemon_threads = True

        @override
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignore clients that end the handshake."""

    server = Server(0)
    bound = type("BoundHandler", (Handler,), {"server_of_test": server})
    with Http((host, 0), bound) as http:
        server.port = http.server_port
        if context:
            http.socket = context.wrap_socket(
                http.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            http.shutdown()
            thread.join()


def create_certificate(folder: Path, *names: str) -> Path:
    """Write a certificate that is its own authority, and its key, to one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A test")])
    present = datetime.now(UTC)
    alternatives: list[x509.GeneralName] = [
        x509.IPAddress(IPv4Address(each)) if each[0].isdigit() else x509.DNSName(each)
        for each in names
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(present - timedelta(days=1))
        .not_valid_after(present + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return file


def server_context(certificate: Path) -> ssl.SSLContext:
    """Return the TLS settings of a server with a certificate of `create_certificate`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@contextmanager
def refused_port() -> Iterator[int]:
    """Yield a port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        yield sock.getsockname()[1]


@contextmanager
def full_port() -> Iterator[int]:
    """Yield a port whose connections are never accepted, so that connecting times out."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        sock.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        time.sleep(0.05)
        try:
            yield sock.getsockname()[1]
        finally:
            for filler in fillers:
                filler.close()
