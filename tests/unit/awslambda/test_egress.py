"""The egress function makes requests of real local servers, and refuses addresses of its own."""

import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import egress
import public_addresses
from djambda_common import egress as protocol
from tests.support.fake_aws import FakeContext
from tests.support.http_servers import (
    Server,
    create_certificate,
    full_port,
    http_server,
    refused_port,
    server_context,
)

AWSLAMBDA = Path(egress.__file__).parent


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow this machine's addresses, as the local cloud does."""
    monkeypatch.setenv(public_addresses.LOOPBACK_VARIABLE, "true")
    monkeypatch.delenv(public_addresses.SERVICE_VARIABLE, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with http_server() as running:
        yield running


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return create_certificate(tmp_path, "localhost")


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the function trust the certificate, as it trusts public ones."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    egress.tls.cache_clear()
    yield
    egress.tls.cache_clear()


def send(url: str, body: bytes = b"", seconds: float = 30, **event: Any) -> dict[str, Any]:
    """Return the function's result, as Lambda passes it on."""
    event = {"method": "GET", "headers": [], "timeout": [5, 5], **event}
    event |= {"url": url, "body": base64.b64encode(body).decode()}
    result = egress.lambda_handler(json.loads(json.dumps(event)), FakeContext(seconds))
    decoded: dict[str, Any] = json.loads(json.dumps(result))
    return decoded


def body_of(result: dict[str, Any]) -> bytes:
    return base64.b64decode(result["body"])


def test_request_arrives_unchanged(server: Server) -> None:
    headers = [
        ["Host", "api.example.com"],
        ["X-Twice", "1"],
        ["x-between", "é"],
        ["X-Twice", "2"],
        ["Authorization", "Bearer secret"],
    ]

    result = send(f"{server.url}/echo?a=%20b&a=2", b"\0\xff", method="PATCH", headers=headers)

    assert (result["status"], result["reason"], result["version"]) == (200, "OK", 11)
    received = server.only
    assert (received.method, received.path, received.body) == (
        "PATCH",
        "/echo?a=%20b&a=2",
        b"\0\xff",
    )
    assert received.headers[: len(headers)] == [tuple(header) for header in headers]
    assert received.values("content-length") == ["2"]
    assert received.values("connection") == ["close"]


def test_duplicate_headers_of_the_response_keep_their_order(server: Server) -> None:
    result = send(f"{server.url}/cookies")

    cookies = [value for name, value in result["headers"] if name == "Set-Cookie"]
    assert cookies == ["a=1", "b=2; Path=/"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("HEAD", "/bytes/10", b""),
        ("GET", "/status/204", b""),
        ("GET", "/status/304", b""),
        ("GET", "/status/404", b"a body"),
        ("GET", "/chunked", b"onetwo"),
        ("GET", "/last", b"a body"),
        ("HEAD", "/last", b""),
        ("GET", "/hints", b"a body"),
        ("GET", f"/bytes/{protocol.MAX_BODY}", b"x" * protocol.MAX_BODY),
    ],
)
def test_responses(server: Server, method: str, path: str, body: bytes) -> None:
    result = send(server.url + path, method=method)

    assert body_of(result) == body
    assert len(json.dumps(result)) < protocol.MAX_PAYLOAD


def test_redirect_is_not_followed(server: Server) -> None:
    assert send(f"{server.url}/redirect/1")["status"] == 302
    assert len(server.requests) == 1


def test_compressed_body_is_not_decoded(server: Server) -> None:
    assert body_of(send(f"{server.url}/gzip")).startswith(b"\x1f\x8b")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (f"/bytes/{protocol.MAX_BODY + 1}", protocol.TOO_LARGE),
        ("/close", protocol.BROKEN),
        ("/cut", protocol.BROKEN),
        ("/hang", protocol.READ_TIMEOUT),
    ],
)
def test_errors_after_the_request_do_not_repeat_it(server: Server, path: str, error: str) -> None:
    result = send(server.url + path, method="POST", timeout=[5, 0.2])

    assert result["error"] == error
    assert error not in protocol.NOT_SENT
    assert len(server.requests) == 1


def test_slow_response_ends_at_the_deadline(server: Server) -> None:
    assert send(f"{server.url}/drip", seconds=0.5)["error"] == protocol.READ_TIMEOUT
    assert send(f"{server.url}/drip", timeout=None, seconds=1.3)["error"] == protocol.READ_TIMEOUT


def test_refused_connection() -> None:
    with refused_port() as port:
        assert send(f"http://localhost:{port}/")["error"] == protocol.REFUSED


def test_connecting_times_out() -> None:
    with full_port() as port:
        result = send(f"http://127.0.0.1:{port}/", timeout=[0.1, 5])

    assert result["error"] == protocol.CONNECT_TIMEOUT


def test_unknown_name() -> None:
    assert send("http://no-such-host.invalid/")["error"] == protocol.NAME


def test_next_address_is_tried_only_while_connecting(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1")]
    monkeypatch.setattr(egress, "resolve", lambda *_: addresses)

    assert send(f"http://localhost:{server.port}/status/200")["status"] == 200
    addresses.reverse()
    assert send(f"http://localhost:{server.port}/close")["error"] == protocol.BROKEN
    assert len(server.requests) == 2


@pytest.mark.usefixtures("trusted")
def test_verified_tls(certificate: Path) -> None:
    with http_server(server_context(certificate)) as server:
        result = send(f"https://localhost:{server.port}/echo", b"secret", method="POST")

        assert result["status"] == 200
        assert server.only.body == b"secret"


@pytest.mark.usefixtures("trusted")
def test_certificate_of_another_name_is_refused(certificate: Path) -> None:
    with http_server(server_context(certificate)) as server:
        result = send(f"https://127.0.0.1:{server.port}/")

    assert result["error"] == protocol.TLS
    assert "CERTIFICATE_VERIFY_FAILED" in result["message"]


def test_unknown_certificate_is_refused_unless_verification_is_off(certificate: Path) -> None:
    with http_server(server_context(certificate)) as server:
        url = f"https://localhost:{server.port}/status/200"

        assert send(url)["error"] == protocol.TLS
        assert send(url, verify=None)["error"] == protocol.TLS
        assert server.requests == []
        assert send(url, verify=False)["status"] == 200


PRIVATE = (
    "0.0.0.0",  # noqa: S104 (not to listen on)
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "192.0.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::a00:1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
)


@pytest.fixture
def on_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the environment of a function on AWS whose template asks for loopback."""
    monkeypatch.setenv(public_addresses.SERVICE_VARIABLE, "127.0.0.1:9001")


@pytest.mark.usefixtures("on_aws")
@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_refused(address: str) -> None:
    host = f"[{address}]" if ":" in address else address

    assert send(f"http://{host}/latest/meta-data/")["error"] == protocol.BLOCKED


@pytest.mark.parametrize("address", PRIVATE)
def test_local_cloud_allows_nothing_but_loopback(address: str) -> None:
    loopback = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}

    assert not public_addresses.is_allowed(address) or address in loopback


@pytest.mark.usefixtures("on_aws")
@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111"])
def test_public_address_is_allowed(address: str) -> None:
    assert public_addresses.is_allowed(address)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "134744072",
        "0x8.8.8.8",
        "010.8.8.8",
        "169.254.169.254.",
        "1.2.3.4.5",
        "0x",
    ],
)
def test_unusual_spelling_of_an_address_is_refused(host: str) -> None:
    assert send(f"http://{host}/")["error"] == protocol.BLOCKED


@pytest.mark.usefixtures("on_aws")
def test_name_of_a_private_address_is_refused(server: Server) -> None:
    assert send(f"http://localhost:{server.port}/")["error"] == protocol.BLOCKED
    assert server.requests == []


def test_connection_leads_to_the_checked_address(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a name server could give another address to a second lookup."""
    lookups = []

    def look_up(host: bytes, port: int, **_: Any) -> list[Any]:
        lookups.append(host)
        address = "127.0.0.1" if len(lookups) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    assert send(f"http://rebinding.example.com:{server.port}/status/200")["status"] == 200
    assert lookups == [b"rebinding.example.com"]
    assert server.only.values("host") == [f"rebinding.example.com:{server.port}"]


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"url": "http://localhost/"},
        {"url": "ftp://localhost/", "method": "GET"},
        {"url": "file:///etc/passwd", "method": "GET"},
        {"url": "http://user:password@localhost/", "method": "GET"},
        {"url": "http:///path", "method": "GET"},
        {"url": "http://localhost:99999/", "method": "GET"},
        {"url": "http://ü.example/", "method": "GET"},
        {"url": "http://localhost/", "method": "GET", "body": "no base64!"},
        {"url": "http://localhost/", "method": "GET", "headers": ["a"]},
        {"url": "http://localhost/", "method": "GET", "timeout": ["a", "b"]},
    ],
)
def test_invalid_event(event: Any) -> None:
    assert egress.lambda_handler(event, FakeContext())["error"] == protocol.INVALID


@pytest.mark.parametrize(
    "event",
    [
        {"method": "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"},
        {"headers": [["X", "a\r\nInjected: b"]]},
        {"headers": [["X: y\r\nInjected", "b"]]},
        {"headers": [["X", "€"]]},
    ],
)
def test_lines_cannot_be_injected(server: Server, event: dict[str, Any]) -> None:
    assert send(f"{server.url}/echo", **event)["error"] == protocol.INVALID
    assert send(f"{server.url}/a b")["error"] == protocol.INVALID
    assert server.requests == []


def test_log_has_one_line_without_path_headers_and_body(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    send(
        f"{server.url}/status/201?token=SECRET",
        b"SECRET",
        method="POST",
        headers=[["Authorization", "SECRET"]],
        invocation="of-django",
    )
    send("http://169.254.169.254/SECRET")
    send(f"http://{'SECRET:SECRET'}@localhost/")

    output = capsys.readouterr().out
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["status"] for line in lines] == [201, protocol.BLOCKED, protocol.INVALID]
    assert (lines[0]["method"], lines[0]["host"]) == ("POST", "127.0.0.1")
    assert (lines[0]["requestId"], lines[0]["invocationId"]) == ("own-request", "of-django")
    assert "SECRET" not in output


def test_start_imports_only_what_requests_need() -> None:
    code = "import sys, egress; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": os.pathsep.join([str(AWSLAMBDA), str(AWSLAMBDA.parent / "common")])},
        capture_output=True,
        text=True,
        check=True,
    )

    heavy = {"boto3", "django", "asyncio", "logging", "encodings.idna", "subprocess"}
    assert heavy.isdisjoint(done.stdout.split())
