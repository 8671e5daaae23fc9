"""The local cloud renames and drops the headers that API Gateway does."""

from djambda import gateway_headers
from djambda_cli.local import emulator_headers


def test_lists_are_those_of_the_runtime() -> None:
    assert emulator_headers.RENAMED_IN_RESPONSES == gateway_headers.RENAMED
    assert emulator_headers.DROPPED_FROM_RESPONSES == gateway_headers.DROPPED


def test_responses() -> None:
    headers = {"WWW-Authenticate": ["Basic", "Digest"], "via": "1.1 x", "set-cookie": ["a", "b"]}

    assert emulator_headers.response_headers(headers) == {
        "x-amzn-Remapped-WWW-Authenticate": ["Basic", "Digest"],
        "set-cookie": ["a", "b"],
    }


def test_requests() -> None:
    headers = {"Connection": "close", "te": "gzip", "Authorization": "Basic x", "Via": ["1.1 x"]}

    kept = {"Authorization": "Basic x", "Via": ["1.1 x"]}
    assert emulator_headers.request_headers(headers) == kept


def test_requests_without_their_aws_signature() -> None:
    signature = "AWS4-HMAC-SHA256 Credential=x"

    assert emulator_headers.request_headers({"authorization": signature}) == {}
    assert emulator_headers.request_headers({"authorization": [signature]}) == {}
