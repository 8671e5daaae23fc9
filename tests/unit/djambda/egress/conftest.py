"""Fixtures: the adapters, with the egress function in this process, and local servers."""

import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpcore
import pytest
import urllib3.connection

import egress as egress_function
import public_addresses
from djambda import egress
from djambda.egress import function, hosts
from djambda_common.http_connection import Response
from djambda_common.names import EGRESS_VARIABLE
from tests.support.fake_aws import FakeContext
from tests.support.http_servers import Server, create_certificate, http_server, server_context

ADAPTED = (
    (http.client.HTTPConnection, "connect"),
    (http.client.HTTPSConnection, "connect"),
    (urllib3.connection.HTTPConnection, "connect"),
    (urllib3.connection.HTTPSConnection, "connect"),
    (httpcore.SyncBackend, "connect_tcp"),
    (httpcore.AnyIOBackend, "connect_tcp"),
    (ssl.SSLContext, "load_cert_chain"),
    (ssl.SSLContext, "load_verify_locations"),
    (ssl.SSLContext, "set_default_verify_paths"),
)
LISTED = ("127.0.0.1", "localhost", "*.invalid", "169.254.169.254")


@dataclass
class Egress:
    """The invocations of the egress function, and an error that they raise instead."""

    events: list[dict[str, Any]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    error: Exception | None = None
    response: Response | None = None

    def call(self, _service: str, *, body: bytes, timeout: float, **_: Any) -> Response:
        """Invoke the function in this process."""
        self.events.append(json.loads(body))
        self.timeouts.append(timeout)
        if self.error:
            raise self.error
        if self.response:
            return self.response
        result = egress_function.lambda_handler(json.loads(body), FakeContext(60))
        return Response(200, {}, json.dumps(result).encode())


@pytest.fixture
def invocations(monkeypatch: pytest.MonkeyPatch) -> Iterator[Egress]:
    """The adapters, installed; requests to this machine go through the function."""
    for owner, name in ADAPTED:
        monkeypatch.setattr(owner, name, getattr(owner, name))  # Restored at the end.
    monkeypatch.setenv(public_addresses.LOOPBACK_VARIABLE, "true")
    monkeypatch.delenv(public_addresses.SERVICE_VARIABLE, raising=False)
    monkeypatch.setenv(EGRESS_VARIABLE, "dev-mysite-egress")
    invocations = Egress()
    monkeypatch.setattr(function, "call", invocations.call)
    egress.install()
    hosts.use(LISTED)
    yield invocations
    hosts.use(None)


@pytest.fixture
def server(invocations: Egress) -> Iterator[Server]:
    with http_server() as running:
        yield running
        assert len(running.requests) <= len(invocations.events)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return create_certificate(tmp_path, "localhost")


@pytest.fixture
def tls_server(
    invocations: Egress, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A server with a certificate that only the function trusts."""
    context = server_context(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    egress_function.tls.cache_clear()
    egress_function.tls(verify=True)
    monkeypatch.delenv("SSL_CERT_FILE")
    with http_server(context) as running:
        yield running
    egress_function.tls.cache_clear()
