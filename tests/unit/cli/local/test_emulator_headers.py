"""The local cloud renames and drops the headers that API Gateway does."""

from typing import Any

from djambda import gateway_headers
from djambda_cli.local import emulator_headers
from djambda_cli.local.emulator_headers import with_gateway_requests, with_gateway_responses


def test_lists_are_those_of_the_runtime() -> None:
    assert emulator_headers.RENAMED_IN_RESPONSES == gateway_headers.RENAMED
    assert emulator_headers.DROPPED_FROM_RESPONSES == gateway_headers.DROPPED


def test_responses() -> None:
    def read(_: object) -> tuple[dict[str, Any], None]:
        headers = {"WWW-Authenticate": "Basic", "via": "1.1 x", "Content-Type": "text/plain"}
        several = {"www-authenticate": ["Basic", "Digest"], "set-cookie": ["a=1", "b=2"]}
        return {"statusCode": 401, "headers": headers, "multiValueHeaders": several}, None

    response, error = with_gateway_responses(read)("result")

    assert error is None
    assert response == {
        "statusCode": 401,
        "headers": {"x-amzn-Remapped-WWW-Authenticate": "Basic", "Content-Type": "text/plain"},
        "multiValueHeaders": {
            "x-amzn-Remapped-www-authenticate": ["Basic", "Digest"],
            "set-cookie": ["a=1", "b=2"],
        },
    }


def test_failed_invocations_have_no_headers() -> None:
    assert with_gateway_responses(lambda _: (None, "the error"))("result") == (None, "the error")


def test_requests() -> None:
    def build(*_: object, **__: object) -> dict[str, Any]:
        headers = {"Connection": "close", "te": "gzip", "Authorization": "Basic x", "Via": "1.1 x"}
        return {
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
        }

    event = with_gateway_requests(build)()

    assert event["headers"] == {"Authorization": "Basic x", "Via": "1.1 x"}
    assert event["multiValueHeaders"] == {"Authorization": ["Basic x"], "Via": ["1.1 x"]}


def test_requests_without_their_aws_signature() -> None:
    signature = "AWS4-HMAC-SHA256 Credential=x"

    assert emulator_headers.request_headers({"authorization": signature}) == {}
    assert emulator_headers.request_headers({"authorization": [signature]}) == {}
