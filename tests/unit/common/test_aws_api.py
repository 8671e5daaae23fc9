"""Requests to AWS, which are never sent twice."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from djambda_common import aws_api
from djambda_common.aws_api import NotSent, OutcomeUnknown, call
from djambda_common.aws_signature import encoded
from djambda_common.http_connection import Response
from tests.support.fake_aws import (
    REGION,
    FakeAws,
    Reply,
    fails,
    forget_connections,
    hangs_up,
    keeps_silent,
    lambda_environment,
    resets,
    responds,
    sends,
    then_hangs_up,
)

ARN = f"arn:aws:lambda:{REGION}:123456789012:function:dev-mysite-djambda-lambda:live"
INVOCATION = f"/2015-03-31/functions/{encoded(ARN)}/invocations"


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        yield fake


def invoke(timeout: float = 5, body: bytes = b'{"a": 1}') -> Response:
    return call("lambda", path=INVOCATION, body=body, timeout=timeout)


def test_missing_credentials_are_named(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(LookupError, match="AWS_SECRET_ACCESS_KEY is not set"):
        invoke()
    assert aws.connections == 0


class TestEndpoint:
    @pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "cn-north-1"])
    @pytest.mark.parametrize("dual_stack", [True, False])
    @pytest.mark.parametrize("service", ["lambda", "sesv2", "ssm"])
    def test_equals_boto3s(
        self, service: str, region: str, dual_stack: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        monkeypatch.setenv("AWS_REGION", region)
        monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", str(dual_stack).lower())
        config = Config(region_name=region, use_dualstack_endpoint=dual_stack)
        client = boto3.session.Session().client(service, config=config)  # type: ignore[call-overload]
        signed_as = client.meta.service_model.signing_name
        assert aws_api.endpoint_url(signed_as) == client.meta.endpoint_url

    def test_local_endpoint_is_used_if_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/")
        assert aws_api.endpoint_url("ssm") == "http://127.0.0.1:4566"


class TestResponse:
    def test_header_names_are_in_lower_case(self, aws: FakeAws) -> None:
        aws.will(responds({"ok": True}, X_Amzn_RequestId="7"))
        response = invoke()
        assert response.status == 200
        assert response.headers["x-amzn-requestid"] == "7"
        assert response.body == b'{"ok": true}'

    def test_request_arrives_unchanged(self, aws: FakeAws) -> None:
        aws.will(responds())
        headers = {"X-Amz-Target": "AmazonSSM.GetParameter"}
        call("ssm", path="/?a=1", headers=headers, body=b"\x00\xff", timeout=5)
        [received] = aws.requests
        assert (received.method, received.path) == ("POST", "/?a=1")
        assert received.body == b"\x00\xff"
        assert received.headers["x-amz-target"] == "AmazonSSM.GetParameter"
        assert received.headers["x-amz-security-token"] == "a/session+token=="

    def test_error_status_is_returned(self, aws: FakeAws) -> None:
        aws.will(fails("AccessDeniedException", 403))
        assert invoke().status == 403

    @pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
    def test_arrives_over_ipv4_and_ipv6(self, host: str) -> None:
        with lambda_environment(host) as aws:
            aws.will(responds())
            assert invoke().status == 200

    def test_second_address_is_used_if_the_first_fails(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port = int(aws.url.rpartition(":")[2])
        stream = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        dual_stack = [
            (socket.AF_INET6, *stream, ("::1", port, 0, 0)),
            (socket.AF_INET, *stream, ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: dual_stack)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://lambda.example:{port}")
        aws.will(responds())
        assert invoke().status == 200


class TestKeptConnection:
    def test_is_reused(self, aws: FakeAws) -> None:
        aws.will(responds(), responds(), responds())
        for _ in range(3):
            invoke()
        assert aws.connections == 1

    def test_is_replaced_if_the_service_has_closed_it(self, aws: FakeAws) -> None:
        aws.will(then_hangs_up(responds()), responds())
        invoke()
        time.sleep(0.05)
        assert invoke().status == 200
        assert [received.connection for received in aws.requests] == [1, 2]

    def test_is_closed_if_the_service_asks_for_it(self, aws: FakeAws) -> None:
        aws.will(then_hangs_up(responds(Connection="close")), responds())
        invoke()
        invoke()
        assert len(aws.requests) == aws.connections == 2

    def test_is_replaced_after_max_idle(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aws_api, "MAX_IDLE", 0.05)
        aws.will(responds(), responds())
        invoke()
        time.sleep(0.1)
        invoke()
        assert aws.connections == 2

    def test_is_not_kept_after_a_failure(self, aws: FakeAws) -> None:
        aws.will(responds(), keeps_silent, responds())
        invoke()
        with pytest.raises(OutcomeUnknown):
            invoke(timeout=0.1)
        assert invoke().status == 200
        assert [received.connection for received in aws.requests] == [1, 1, 2]

    def test_connect_opens_it_for_the_first_call(self, aws: FakeAws) -> None:
        aws_api.connect("lambda")
        aws.will(responds())
        invoke()
        assert aws.connections == 1

    def test_connect_ignores_errors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with lambda_environment() as aws:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
            aws_api.connect("lambda")
            assert aws.connections == 0

    def test_is_not_shared_by_concurrent_calls(self, aws: FakeAws) -> None:
        aws.will(*[responds() for _ in range(20)])
        with ThreadPoolExecutor(20) as threads:
            responses = threads.map(lambda _: invoke(), range(20))
        assert [response.status for response in responses] == [200] * 20


class TestNotSent:
    def test_when_the_connection_is_refused(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(NotSent, match="cannot connect"):
            invoke()
        assert aws.requests == []

    @pytest.mark.usefixtures("aws")
    def test_when_the_host_is_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://lambda.invalid")
        with pytest.raises(NotSent, match="cannot connect"):
            invoke()

    @pytest.mark.usefixtures("aws")
    @pytest.mark.parametrize(("addresses", "seconds"), [(1, 20), (60, 0.5)])
    def test_when_connecting_takes_too_long(
        self, addresses: int, seconds: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            waiting = [socket.socket() for _ in range(3)]
            for client in waiting:  # Fill the backlog: the next connection times out.
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * addresses)
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            monkeypatch.setattr(aws_api, "CONNECT_TIMEOUT", 0.2)
            started = time.monotonic()
            with pytest.raises(NotSent, match="timed out"):
                invoke(timeout=seconds)
            assert time.monotonic() - started < 10
            for client in waiting:
                client.close()

    @pytest.mark.parametrize("breaks", [resets, hangs_up])
    def test_when_the_connection_breaks_while_sending(self, breaks: Reply, aws: FakeAws) -> None:
        aws.will_early(breaks)
        with pytest.raises(NotSent, match="broke while sending"):
            invoke(body=bytes(50_000_000))
        assert aws.requests == []


class TestOutcomeUnknown:
    @pytest.mark.parametrize(
        "breaks",
        [
            resets,
            hangs_up,
            keeps_silent,
            sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
            sends(b"HTTP/1.1 200 OK\r\n"),
            sends(b"nonsense\r\n\r\n"),
        ],
        ids=["reset", "closed", "silent", "cut in the body", "cut in the headers", "no HTTP"],
    )
    @pytest.mark.parametrize("calls_before", [0, 1], ids=["new", "kept"])
    def test_when_there_is_no_response(
        self, breaks: Reply, calls_before: int, aws: FakeAws
    ) -> None:
        for _ in range(calls_before):
            aws.will(responds())
            invoke()
        aws.will(breaks)
        with pytest.raises(OutcomeUnknown):
            invoke(timeout=0.3)
        time.sleep(0.1)
        assert len(aws.requests) == calls_before + 1
        assert aws.connections == 1

    def test_message_has_the_timeout(self, aws: FakeAws) -> None:
        aws.will(keeps_silent)
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown, match=r"0\.3 s"):
            invoke(timeout=0.3)
        assert time.monotonic() - started < 10


class TestTls:
    @pytest.fixture
    def tls(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
        """A listening TLS server with a trusted certificate for localhost."""
        if (openssl := shutil.which("openssl")) is None:
            pytest.skip("needs the openssl command")
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            + ["-nodes", "-days", "1", "-subj", "/CN=localhost"]
            + ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        aws_api._tls.cache_clear()
        with (
            socket.create_server(("127.0.0.1", 0)) as plain,
            context.wrap_socket(plain, server_side=True) as listener,
            lambda_environment(),
        ):
            port = listener.getsockname()[1]
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{port}")
            yield listener
        aws_api._tls.cache_clear()

    def test_open_connection_is_reused_and_closed_one_is_not(self, tls: socket.socket) -> None:
        """Unread session tickets are not taken for the end of the connection."""
        accepted = 0

        def serve_two_connections() -> None:
            nonlocal accepted
            for _ in range(2):
                connection, _ = tls.accept()
                accepted += 1
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        server = threading.Thread(target=serve_two_connections)
        server.start()
        aws_api.connect("lambda")
        time.sleep(0.05)
        assert call("lambda", method="GET", timeout=5).body == b"{}"
        assert accepted == 1
        time.sleep(0.05)
        assert call("lambda", method="GET", timeout=5).body == b"{}"
        assert accepted == 2
        server.join()
        forget_connections()

    @pytest.mark.usefixtures("tls")
    def test_untrusted_certificate_is_rejected(
        self, tls: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")

        def accept() -> None:
            with pytest.raises(ssl.SSLError):
                tls.accept()

        server = threading.Thread(target=accept)
        server.start()
        with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
            invoke()
        server.join()


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (
            {"x-amzn-errortype": "AccessDeniedException:http://internal.amazon.com/coral/"},
            b'{"Message": "no"}',
            ("AccessDeniedException", "no"),
        ),
        (
            {},
            b'{"__type": "com.amazonaws.ssm#ParameterAlreadyExists"}',
            ("ParameterAlreadyExists", ""),
        ),
        (
            {},
            b'{"__type": "ThrottlingException", "message": "slow"}',
            ("ThrottlingException", "slow"),
        ),
        ({}, b"<html>", ("", "")),
        ({}, b"[]", ("", "")),
    ],
)
def test_error_of_reads_all_formats(
    headers: dict[str, str], body: bytes, expected: tuple[str, str]
) -> None:
    assert aws_api.error_of(Response(400, headers, body)) == expected


def test_imports_no_heavy_modules() -> None:
    heavy = [
        "boto3",
        "botocore",
        "dataclasses",
        "django",
        "email",
        "http",
        "logging",
        "typing",
        "urllib.request",
    ]
    program = "import sys, djambda_common.aws_api; print(*sys.modules)"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(heavy) & set(done.stdout.split())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
