"""`requests` through the egress function behaves as with connections of its own."""

import io
import shutil
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, override

import boto3
import botocore.config
import certifi
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from djambda_common import egress as protocol
from tests.support.http_servers import Server, full_port, refused_port
from tests.unit.djambda.egress.conftest import Egress


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def pieces() -> Iterator[bytes]:
    yield b"a "
    yield b"generator"


def test_session(server: Server, session: requests.Session) -> None:
    session.headers["X-Own"] = "value"
    session.auth = ("user", "password")

    session.get(f"{server.url}/cookies")
    response = session.get(f"{server.url}/echo", params={"a": "1"})

    echo = response.json()
    assert echo["path"] == "/echo?a=1"
    headers = {name.lower(): value for name, value in echo["headers"]}
    assert headers["x-own"] == "value"
    assert headers["cookie"] == "a=1; b=2"
    assert headers["authorization"].startswith("Basic ")
    assert response.elapsed.total_seconds() > 0
    assert response.url == f"{server.url}/echo?a=1"


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({"data": b"bytes"}, b"bytes"),
        ({"data": {"a": "1"}}, b"a=1"),
        ({"json": {"a": 1}}, b'{"a": 1}'),
        ({"data": io.BytesIO(b"a file")}, b"a file"),
        ({"data": pieces()}, b"a generator"),
        ({"data": b""}, b""),
    ],
    ids=["bytes", "form", "json", "file", "generator", "empty"],
)
def test_bodies(
    server: Server, session: requests.Session, arguments: dict[str, Any], body: bytes
) -> None:
    assert session.put(f"{server.url}/status/200", **arguments).ok
    assert (server.only.method, server.only.body) == ("PUT", body)


def test_files(server: Server, session: requests.Session) -> None:
    session.post(f"{server.url}/status/200", files={"file": ("a.txt", b"content")})

    assert b'filename="a.txt"' in server.only.body


def test_redirects_have_a_history(server: Server, session: requests.Session) -> None:
    response = session.post(f"{server.url}/redirect/2", data=b"x")

    assert [each.status_code for each in response.history] == [302, 302]
    assert [request.method for request in server.requests] == ["POST", "GET", "GET"]


@pytest.mark.parametrize(
    ("path", "content"),
    [("/gzip", b"compressed"), ("/status/204", b""), ("/status/304", b""), ("/chunked", b"onetwo")],
)
def test_content(server: Server, session: requests.Session, path: str, content: bytes) -> None:
    assert session.get(server.url + path).content == content


def test_head(server: Server, session: requests.Session) -> None:
    response = session.head(f"{server.url}/bytes/10")

    assert (response.headers["Content-Length"], response.content) == ("10", b"")


def test_streaming(server: Server, session: requests.Session) -> None:
    with session.get(f"{server.url}/bytes/10", stream=True) as response:
        assert response.raw.read(4) == b"xxxx"
        assert list(response.iter_content(3)) == [b"xxx", b"xxx"]


def test_many_requests_of_one_session(server: Server, session: requests.Session) -> None:
    for _ in range(20):
        assert session.get(f"{server.url}/status/200").ok


@pytest.mark.usefixtures("invocations")
def test_errors_of_connecting(session: requests.Session) -> None:
    with refused_port() as port, pytest.raises(requests.ConnectionError, match="refused"):
        session.get(f"http://127.0.0.1:{port}/")
    with full_port() as port, pytest.raises(requests.ConnectTimeout):
        session.get(f"http://127.0.0.1:{port}/", timeout=(0.1, 5))
    with pytest.raises(requests.ConnectionError, match="resolve"):
        session.get("http://no-such-host.invalid/")
    with pytest.raises(requests.ConnectionError, match="no public address"):
        session.get("http://169.254.169.254/latest/")


@pytest.mark.usefixtures("invocations")
def test_blocked_address_is_no_timeout(session: requests.Session) -> None:
    with pytest.raises(requests.ConnectionError) as error:
        session.get("http://169.254.169.254/latest/")

    assert not isinstance(error.value, requests.ConnectTimeout)


@pytest.mark.parametrize("timeout", [0.1, (5, 0.1)])
def test_read_timeout(
    server: Server, session: requests.Session, invocations: Egress, timeout: Any
) -> None:
    with pytest.raises(requests.ReadTimeout):
        session.post(f"{server.url}/hang", timeout=timeout)

    assert len(invocations.events) == 1


@pytest.mark.parametrize("path", ["/close", "/cut", f"/bytes/{protocol.MAX_BODY + 1}"])
def test_broken_response(
    server: Server, session: requests.Session, invocations: Egress, path: str
) -> None:
    with pytest.raises(requests.ConnectionError, match="egress function"):
        session.get(server.url + path)

    assert len(invocations.events) == 1


def test_too_large_request_is_not_sent(
    server: Server, session: requests.Session, invocations: Egress
) -> None:
    with pytest.raises(requests.ConnectionError, match=f"{protocol.MAX_BODY} bytes"):
        session.post(server.url, data=b"x" * (protocol.MAX_BODY + 1))

    assert invocations.events == []


def test_projects_retries_apply(
    server: Server, session: requests.Session, invocations: Egress
) -> None:
    session.mount("http://", HTTPAdapter(max_retries=Retry(2, status_forcelist=[503])))

    with pytest.raises(requests.exceptions.RetryError):
        session.get(f"{server.url}/status/503")
    assert len(invocations.events) == 3


def test_tls(tls_server: Server, session: requests.Session, invocations: Egress) -> None:
    assert session.get(f"https://localhost:{tls_server.port}/echo").ok
    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        session.get(f"https://127.0.0.1:{tls_server.port}/echo")
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        assert session.get(f"https://127.0.0.1:{tls_server.port}/echo", verify=False).ok
    assert [event["verify"] for event in invocations.events] == [True, True, False]


def test_tls_settings_of_the_project_are_not_ignored(
    tls_server: Server, session: requests.Session, certificate: Path, invocations: Egress
) -> None:
    url = f"https://localhost:{tls_server.port}/"
    for options in (
        {"verify": str(certificate)},
        {"verify": str(certificate.parent)},
        {"cert": str(certificate)},
    ):
        with pytest.raises(requests.exceptions.SSLError, match="EGRESS=proxy does not support"):
            session.get(url, **options)  # type: ignore[arg-type]
    assert invocations.events == []


class TlsAdapter(HTTPAdapter):
    """An adapter with TLS settings of its own, which themselves verify nothing."""

    @override
    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().init_poolmanager(*arguments, ssl_context=context, **keywords)


def test_verification_that_requests_adds_to_a_context_applies(
    tls_server: Server, session: requests.Session, invocations: Egress
) -> None:
    session.mount("https://", TlsAdapter())

    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        session.get(f"https://127.0.0.1:{tls_server.port}/echo")
    assert [event["verify"] for event in invocations.events] == [True]


def test_boto3_with_the_endpoint_of_another_provider(server: Server, tls_server: Server) -> None:
    for url in (server.url, f"https://localhost:{tls_server.port}"):
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="eu-west-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=botocore.config.Config(
                retries={"max_attempts": 0}, s3={"addressing_style": "path"}
            ),
        )
        with closing(client):
            client.put_object(Bucket="bytes", Key="0", Body=b"content")  # An empty response.
    for running in (server, tls_server):
        assert b"content" in running.only.body


def test_packages_copy_of_the_public_authorities_is_accepted(
    tls_server: Server, session: requests.Session, tmp_path: Path
) -> None:
    """Stripe's package, for example, has one."""
    copy = tmp_path / "ca-certificates.crt"
    shutil.copy(certifi.where(), copy)

    assert session.get(f"https://localhost:{tls_server.port}/echo", verify=str(copy)).ok


def test_certificate_of_another_name_is_refused(tls_server: Server, invocations: Egress) -> None:
    url = f"https://127.0.0.1:{tls_server.port}/"
    others: tuple[dict[str, Any], ...] = (
        {"assert_hostname": "localhost"},
        {"server_hostname": "localhost"},
        {"assert_fingerprint": "00:11"},
    )
    for options in others:
        with (
            urllib3.PoolManager(**options) as pool,
            pytest.raises(urllib3.exceptions.MaxRetryError, match="does not support"),
        ):
            pool.request("GET", url, retries=0)
    assert invocations.events == []


def test_urllib3_itself(server: Server) -> None:
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", f"{server.url}/echo", fields={"a": "1"})

        assert response.json()["method"] == "POST"
        with pytest.raises(urllib3.exceptions.MaxRetryError), refused_port() as port:
            pool.request("GET", f"http://127.0.0.1:{port}/", retries=1)
