"""`httpx` through the egress function behaves as with connections of its own."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest

from djambda_common import egress as protocol
from tests.support.http_servers import Server, full_port, refused_port
from tests.unit.djambda.egress.conftest import Egress

type Send = Callable[..., httpx.Response]


def send_sync(
    method: str, url: str, *, client: dict[str, Any] | None = None, **arguments: Any
) -> httpx.Response:
    with httpx.Client(trust_env=False, **(client or {})) as http:
        return http.request(method, url, **arguments)


def send_async(
    method: str, url: str, *, client: dict[str, Any] | None = None, **arguments: Any
) -> httpx.Response:
    async def request() -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, **(client or {})) as http:
            return await http.request(method, url, **arguments)

    return asyncio.run(request())


@pytest.fixture(params=[send_sync, send_async], ids=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    sender: Send = request.param
    return sender


def pieces() -> Iterator[bytes]:
    yield b"a "
    yield b"generator"


async def async_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


def test_request(server: Server, send: Send) -> None:
    response = send(
        "POST",
        f"{server.url}/echo",
        params={"a": "1"},
        headers=[("X-Twice", "1"), ("X-Twice", "2")],
        json={"b": 2},
        auth=("user", "password"),
    )

    echo = response.json()
    assert (response.http_version, response.status_code) == ("HTTP/1.1", 200)
    assert (echo["path"], echo["body"]) == ("/echo?a=1", '{"b":2}')
    assert server.only.values("x-twice") == ["1", "2"]
    assert server.only.values("authorization")[0].startswith("Basic ")
    assert response.elapsed.total_seconds() > 0


def test_generator(server: Server) -> None:
    assert send_sync("PUT", f"{server.url}/status/200", content=pieces()).status_code == 200
    assert send_async("PUT", f"{server.url}/status/200", content=async_pieces()).status_code == 200
    assert [request.body for request in server.requests] == [b"a generator"] * 2


def test_cookies_and_redirects(server: Server, send: Send) -> None:
    response = send("GET", f"{server.url}/redirect/2", follow_redirects=True)

    assert len(response.history) == 2
    assert dict(send("GET", f"{server.url}/cookies").cookies) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/gzip", b"compressed"),
        ("/status/204", b""),
        ("/status/304", b""),
        ("/chunked", b"onetwo"),
        (f"/bytes/{protocol.MAX_BODY}", b"x" * protocol.MAX_BODY),
    ],
)
def test_content(server: Server, send: Send, path: str, content: bytes) -> None:
    assert send("GET", server.url + path).content == content


def test_head(server: Server, send: Send) -> None:
    assert send("HEAD", f"{server.url}/bytes/10").headers["Content-Length"] == "10"


def test_streaming(server: Server) -> None:
    with httpx.stream("GET", f"{server.url}/bytes/10", trust_env=False) as response:
        assert b"".join(response.iter_raw(3)) == b"x" * 10


@pytest.mark.usefixtures("invocations")
def test_errors_of_connecting(send: Send) -> None:
    with refused_port() as port, pytest.raises(httpx.ConnectError, match="refused"):
        send("GET", f"http://127.0.0.1:{port}/")
    with full_port() as port, pytest.raises(httpx.ConnectTimeout):
        send("GET", f"http://127.0.0.1:{port}/", timeout=httpx.Timeout(5, connect=0.1))
    with pytest.raises(httpx.ConnectError, match="resolve"):
        send("GET", "http://no-such-host.invalid/")
    with pytest.raises(httpx.ConnectError, match="no public address"):
        send("GET", "http://169.254.169.254/latest/")


def test_read_timeout(server: Server, send: Send, invocations: Egress) -> None:
    with pytest.raises(httpx.ReadTimeout):
        send("POST", f"{server.url}/hang", timeout=httpx.Timeout(5, read=0.1))

    assert len(invocations.events) == 1


@pytest.mark.parametrize("path", ["/close", "/cut", f"/bytes/{protocol.MAX_BODY + 1}"])
def test_broken_response(server: Server, send: Send, invocations: Egress, path: str) -> None:
    with pytest.raises(httpx.ReadError, match="egress function"):
        send("GET", server.url + path)

    assert len(invocations.events) == 1


def test_too_large_request_is_not_sent(server: Server, send: Send, invocations: Egress) -> None:
    with pytest.raises(httpx.WriteError, match=f"{protocol.MAX_BODY} bytes"):
        send("POST", server.url, content=b"x" * (protocol.MAX_BODY + 1))

    assert invocations.events == []


def test_tls(tls_server: Server, send: Send, invocations: Egress) -> None:
    assert send("GET", f"https://localhost:{tls_server.port}/echo").status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        send("GET", f"https://127.0.0.1:{tls_server.port}/echo")
    unverified = send("GET", f"https://127.0.0.1:{tls_server.port}/echo", client={"verify": False})
    assert unverified.status_code == 200
    assert [event["verify"] for event in invocations.events] == [True, True, False]


def test_tls_settings_of_the_project_are_not_ignored(
    tls_server: Server, send: Send, certificate: Path, invocations: Egress
) -> None:
    own_authority = ssl.create_default_context(cafile=certificate)
    client_certificate = ssl.create_default_context()
    client_certificate.load_cert_chain(certificate)

    for context in (own_authority, client_certificate):
        with pytest.raises(httpx.ConnectError, match="EGRESS=proxy does not support"):
            send("GET", f"https://localhost:{tls_server.port}/", client={"verify": context})
    assert invocations.events == []


def test_packages_copy_of_the_public_authorities_is_accepted(
    tls_server: Server, send: Send, tmp_path: Path
) -> None:
    copy = tmp_path / "ca-certificates.crt"
    shutil.copy(certifi.where(), copy)
    contexts = (
        ssl.create_default_context(cafile=copy),
        ssl.create_default_context(cadata=copy.read_text()),
        ssl.create_default_context(),
    )

    for context in contexts:
        url = f"https://localhost:{tls_server.port}/echo"
        assert send("GET", url, client={"verify": context}).status_code == 200


def test_own_authorities_of_the_environment_are_not_ignored(
    tls_server: Server,
    send: Send,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context()

    with pytest.raises(httpx.ConnectError, match="does not support certificate authorities"):
        send("GET", f"https://localhost:{tls_server.port}/", client={"verify": context})


def test_other_server_name_is_refused(tls_server: Server, send: Send, invocations: Egress) -> None:
    url = f"https://127.0.0.1:{tls_server.port}/"
    with pytest.raises(httpx.ConnectError, match="another name"):
        send("GET", url, extensions={"sni_hostname": "localhost"})
    assert invocations.events == []


def test_proxy_of_the_project_is_refused_with_a_reason(send: Send, invocations: Egress) -> None:
    with pytest.raises(httpx.WriteError, match="does not support GET http:"):
        send("GET", "http://api.example.com/", client={"proxy": "http://127.0.0.1:3128"})
    assert invocations.events == []


def test_requests_run_at_the_same_time(server: Server, invocations: Egress) -> None:
    async def gather() -> list[httpx.Response]:
        async with httpx.AsyncClient(trust_env=False) as http:
            return await asyncio.gather(
                *(http.get(f"{server.url}/status/{200 + number}") for number in range(8))
            )

    statuses = [response.status_code for response in asyncio.run(gather())]

    assert sorted(statuses) == list(range(200, 208))
    assert len(invocations.events) == 8
