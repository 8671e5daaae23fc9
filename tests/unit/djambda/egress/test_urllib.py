"""`urllib.request` through the egress function behaves as with a connection of its own."""

import http.client
import io
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from djambda_common import egress as protocol
from djambda_common.aws_api import NotSent, OutcomeUnknown
from djambda_common.http_connection import Response
from tests.support.http_servers import Server, full_port, refused_port
from tests.unit.djambda.egress.conftest import Egress


def urlopen(url: str | urllib.request.Request, data: Any = None, **keywords: Any) -> Any:
    return urllib.request.urlopen(url, data, **keywords)  # noqa: S310 (a local server)


def new_request(url: str, **options: Any) -> urllib.request.Request:
    return urllib.request.Request(url, **options)  # noqa: S310 (a local server)


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_get_with_headers(server: Server, invocations: Egress) -> None:
    request = new_request(f"{server.url}/echo?a=1", headers={"X-Own": "value"})

    with urlopen(request) as response:
        echo = json.load(response)

    assert (response.status, response.reason) == (200, "OK")
    assert echo["path"] == "/echo?a=1"
    assert ["X-Own", "value"] in echo["headers"]
    assert len(invocations.events) == 1


@pytest.mark.usefixtures("invocations")
@pytest.mark.parametrize(("data", "acted"), [(None, False), (b"x", True)])
def test_request_that_changes_another_server_may_be_processed(
    data: bytes | None, acted: bool, server: Server, unsafe_request: Any
) -> None:
    with urlopen(f"{server.url}/echo", data):
        assert unsafe_request.acted is acted


def pieces() -> Iterator[bytes]:
    yield b"a "
    yield b"generator"


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"bytes", b"bytes"),
        (io.BytesIO(b"a file"), b"a file"),
        (pieces, b"a generator"),
        (b"", b""),
        (b"x" * protocol.MAX_BODY, b"x" * protocol.MAX_BODY),
    ],
    ids=["bytes", "file", "generator", "empty", "limit"],
)
def test_post(server: Server, data: Any, body: bytes) -> None:
    with urlopen(f"{server.url}/status/200", data() if callable(data) else data):
        pass

    assert (server.only.method, server.only.body) == ("POST", body)
    assert server.only.values("transfer-encoding") == []


def test_redirects_are_requests_of_their_own(server: Server, invocations: Egress) -> None:
    with urlopen(f"{server.url}/redirect/2") as response:
        assert response.url == f"{server.url}/echo"

    assert [event["url"].rpartition(":")[2].partition("/")[2] for event in invocations.events] == [
        "redirect/2",
        "redirect/1",
        "echo",
    ]


def test_http_error_has_its_body(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        urlopen(f"{server.url}/status/404")

    with error.value:
        assert (error.value.code, error.value.read()) == (404, b"a body")


@pytest.mark.parametrize(
    ("method", "path", "body", "length"),
    [
        ("HEAD", "/bytes/10", b"", "10"),
        ("GET", "/status/204", b"", None),
        ("GET", "/chunked", b"onetwo", "6"),
        ("DELETE", "/bytes/3", b"xxx", "3"),
    ],
)
def test_framing(server: Server, method: str, path: str, body: bytes, length: str | None) -> None:
    request = new_request(server.url + path, method=method)

    with urlopen(request) as response:
        assert response.headers["Content-Length"] == length
        assert response.headers.get_all("Transfer-Encoding") is None
        assert response.read(2) + response.read() == body


def test_connection_of_http_client_can_be_used_again(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for _ in range(2):
        connection.request("GET", "/cookies", headers={"X-Twice": "1"})
        response = connection.getresponse()
        response.read()
        assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2; Path=/"]
    connection.close()

    assert len(server.requests) == 2


def reason_of(url: str, **keywords: Any) -> Any:
    """Return the reason of the `URLError`."""
    with pytest.raises(urllib.error.URLError) as error:
        urlopen(url, **keywords)
    assert not isinstance(error.value, urllib.error.HTTPError)
    return error.value.reason


@pytest.mark.usefixtures("invocations")
def test_errors_of_connecting_are_url_errors() -> None:
    assert isinstance(reason_of("http://no-such-host.invalid/"), socket.gaierror)
    assert isinstance(reason_of("http://169.254.169.254/latest/"), PermissionError)
    with refused_port() as port:
        assert isinstance(reason_of(f"http://127.0.0.1:{port}/"), ConnectionRefusedError)
    with full_port() as port:
        assert isinstance(reason_of(f"http://127.0.0.1:{port}/", timeout=0.1), TimeoutError)


def test_read_timeout(server: Server, invocations: Egress) -> None:
    with pytest.raises(TimeoutError):
        urlopen(f"{server.url}/hang", timeout=0.1)

    assert len(invocations.events) == 1


@pytest.mark.parametrize("path", ["/close", "/cut", f"/bytes/{protocol.MAX_BODY + 1}"])
def test_broken_response(server: Server, invocations: Egress, path: str) -> None:
    with pytest.raises(OSError, match="egress function"):
        urlopen(server.url + path)

    assert len(invocations.events) == 1


def test_too_large_request_is_not_sent(server: Server, invocations: Egress) -> None:
    with pytest.raises(OSError, match=f"{protocol.MAX_BODY} bytes"):
        urlopen(f"{server.url}/status/200", b"x" * (protocol.MAX_BODY + 1))

    assert invocations.events == []


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("silent"), Response(502, {}, b"{}")], ids=["silent", "502"]
)
def test_unknown_outcome_is_not_repeated(invocations: Egress, error: Any) -> None:
    if isinstance(error, Response):
        invocations.response = error
    else:
        invocations.error = error

    with pytest.raises(ConnectionResetError):
        urlopen("http://127.0.0.1/")
    assert len(invocations.events) == 1


def test_crash_of_the_function_is_not_repeated(invocations: Egress) -> None:
    invocations.response = Response(
        200, {"x-amz-function-error": "Unhandled"}, b'{"errorType": "Sandbox.Timedout"}'
    )

    with pytest.raises(ConnectionResetError, match="Timedout"):
        urlopen("http://127.0.0.1/")
    assert len(invocations.events) == 1


@pytest.mark.parametrize(
    ("problem", "events"),
    [(NotSent("no connection"), 2), (Response(429, {}, b'{"message": "slow down"}'), 1)],
    ids=["not sent", "throttled"],
)
def test_request_that_was_not_sent_is_an_error_of_connecting(
    invocations: Egress, problem: Any, events: int
) -> None:
    if isinstance(problem, Response):
        invocations.response = problem
    else:
        invocations.error = problem

    assert "cannot invoke" in str(reason_of("http://127.0.0.1/"))
    assert len(invocations.events) == events


def test_tls(tls_server: Server, certificate: Path, invocations: Egress) -> None:
    url = f"https://localhost:{tls_server.port}/echo"

    with urlopen(url) as response:
        assert response.status == 200
    assert isinstance(
        reason_of(f"https://127.0.0.1:{tls_server.port}/"), ssl.SSLCertVerificationError
    )
    assert [event["verify"] for event in invocations.events] == [True, True]


def test_tls_without_verification(tls_server: Server) -> None:
    with urlopen(f"https://127.0.0.1:{tls_server.port}/echo", context=unverified()) as response:
        assert response.status == 200


def test_tls_settings_of_the_project_are_not_ignored(
    tls_server: Server, certificate: Path, invocations: Egress
) -> None:
    own_authority = ssl.create_default_context(cafile=certificate)
    no_authority = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_certificate = ssl.create_default_context()
    client_certificate.load_cert_chain(certificate)
    unverified_client = unverified()
    unverified_client.load_cert_chain(certificate)

    for context in (own_authority, no_authority, client_certificate, unverified_client):
        reason = reason_of(f"https://localhost:{tls_server.port}/", context=context)
        assert isinstance(reason, ssl.SSLError)
        assert "EGRESS=proxy does not support" in str(reason)
    assert invocations.events == []
