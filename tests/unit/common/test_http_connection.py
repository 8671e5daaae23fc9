"""The HTTP client against a peer that sends bytes: what it accepts, and what it rejects."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djambda_common.http_connection import BadResponse, Connection, Response

CHUNKS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
)


def connection_to(peer_sends: bytes) -> tuple[Connection, socket.socket]:
    ours, theirs = socket.socketpair()
    connection = Connection("http://a.example", timeout=1, tls=ssl.create_default_context)
    connection.sock = ours
    theirs.sendall(peer_sends)
    theirs.shutdown(socket.SHUT_WR)
    return connection, theirs


def receive(peer_sends: bytes) -> Response:
    connection, peer = connection_to(peer_sends)
    with peer:
        try:
            return connection.receive()
        finally:
            connection.close()


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    connection, peer = connection_to(b"")
    yield connection, peer
    connection.close()
    peer.close()


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:3\r\n\r\nabcd", b"abc"),
        (b"HTTP/1.1 200\nContent-Length: 0\n\n", b""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b""),
        (CHUNKS, b"abc0123456789"),
    ],
)
def test_response_is_received(sent: bytes, body: bytes) -> None:
    response = receive(sent)

    assert (response.status, response.body) == (200, body)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(
    "length", [b"", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_response_without_a_body_needs_no_length(status: int, length: bytes) -> None:
    """S3's response to DELETE has none."""
    head = b"HTTP/1.1 %d X\r\n%s\r\n" % (status, length)
    connection, peer = connection_to(head)

    with peer, closing(connection):
        response = connection.receive()

        assert (response.status, response.body) == (status, b"")
        assert connection.sock is not None


def test_header_names_are_in_lower_case() -> None:
    response = receive(b"HTTP/1.1 404 Gone\r\nX-Amzn-Id:  a:b \r\nContent-Length: 0\r\n\r\n")

    assert response.status == 404
    assert response.headers == {"x-amzn-id": "a:b", "content-length": "0"}


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 66_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ],
)
def test_bad_response_is_rejected(sent: bytes) -> None:
    with pytest.raises(BadResponse):
        receive(sent)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_response_or_rejected(noise: bytes) -> None:
    for head in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"):
        try:
            receive(head + noise)
        except BadResponse:
            continue


@pytest.mark.parametrize(
    ("sent", "stays"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
    ],
)
def test_connection_is_closed_if_the_peer_will(sent: bytes, stays: bool) -> None:
    connection, peer = connection_to(sent)
    with peer:
        connection.receive()

        assert (connection.sock is not None) is stays
        connection.close()


def test_request_is_sent(pair: tuple[Connection, socket.socket]) -> None:
    connection, peer = pair

    connection.send("POST", "/a?b=c", {"host": "a.example", "x-a": "1"}, b"\x00\xff")

    assert peer.recv(1000) == (
        b"POST /a?b=c HTTP/1.1\r\nhost: a.example\r\nx-a: 1\r\ncontent-length: 2\r\n\r\n\x00\xff"
    )


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/\r\nx: y", {}), ("/", {"a": "b\r\nx: y"}), ("/", {"a": "b\nx: y"}), ("/", {"a\r": "b"})],
)
def test_line_breaks_are_not_sent(
    path: str, headers: dict[str, str], pair: tuple[Connection, socket.socket]
) -> None:
    connection, _ = pair

    with pytest.raises(ValueError, match="line break"):
        connection.send("GET", path, headers)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://lambda.eu-west-1.amazonaws.com", ("lambda.eu-west-1.amazonaws.com", 443)),
        ("http://localhost/a", ("localhost", 80)),
        ("http://127.0.0.1:4566/", ("127.0.0.1", 4566)),
        ("http://[::1]", ("::1", 80)),
        ("https://[::1]:8443/a:b", ("::1", 8443)),
    ],
)
def test_address_of_a_url(url: str, address: tuple[str, int]) -> None:
    connection = Connection(url, timeout=1, tls=ssl.create_default_context)

    assert (connection.host, connection.port) == address
