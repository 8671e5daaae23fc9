"""The local REST API passes requests and responses on as API Gateway does, within its limits."""

import base64
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.cloud.functions import Function, function, rest_api
from tests.cloud.local import Cloud

ECHO = """
    import base64, json, time

    def handler(event, context):
        body = base64.b64decode(event["body"] or "")
        if event["httpMethod"] == "PUT":  # It has the response.
            return json.loads(body)
        event["body"] = len(body)
        time.sleep(float((event["queryStringParameters"] or {}).get("sleep", 0)))
        return {"statusCode": 200, "body": json.dumps(event)}
"""


@pytest.fixture(scope="module")
def backend(cloud: Cloud) -> Iterator[Function]:
    """A function that returns its event, or the response in the request."""
    with function(cloud, ECHO, Timeout=60) as created:
        yield created


@pytest.fixture(scope="module")
def api(cloud: Cloud, backend: Function) -> Iterator[httpx.Client]:
    """A client of the REST API in front of it."""
    with rest_api(cloud, backend) as visitor:
        yield visitor


@pytest.fixture(scope="module", autouse=True)
def slow_response(api: httpx.Client) -> Iterator["Future[httpx.Response]"]:
    """The response to a request that takes 40 s, which runs during all tests of this module."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit(api.get, "/?sleep=40")


def event_of(api: httpx.Client, path: str = "/", **options: Any) -> Any:
    """Return the event that the function got for a request."""
    response = api.get(path, **options)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("sent", [None, "203.0.113.9", "203.0.113.9, 198.51.100.2"])
def test_address_is_that_of_the_connection(api: httpx.Client, sent: str | None) -> None:
    event = event_of(api, headers={"X-Forwarded-For": sent} if sent else {})

    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert event["headers"]["X-Forwarded-For"] == f"{f'{sent}, ' if sent else ''}127.0.0.1"
    assert "x-forwarded-for" not in event["headers"]


@pytest.mark.parametrize("path", ["/a%20b", "/100%25", "/%2525", "/a%2Fb", "/caf%C3%A9/", "/%ff"])
def test_path_is_not_decoded(api: httpx.Client, path: str) -> None:
    event = event_of(api, path)

    assert event["path"] == path
    assert event["requestContext"]["path"] == f"/prod{path}"


def test_domain_without_the_stage(api: httpx.Client) -> None:
    domain = api.headers["Host"].replace(".execute-api.", ".")

    event = event_of(api, str(api.base_url.copy_with(path="/a%20b/")), headers={"Host": domain})

    assert event["path"] == event["requestContext"]["path"] == "/a%20b/"
    assert event["requestContext"]["domainName"] == domain.partition(":")[0]
    assert event["requestContext"]["stage"] == "prod"


def test_query_is_decoded_once(api: httpx.Client) -> None:
    event = event_of(api, "/?a=%2525&b=1&b=%C3%BC&c=")

    assert event["multiValueQueryStringParameters"] == {"a": ["%25"], "b": ["1", "ü"], "c": [""]}
    assert event["queryStringParameters"] == {"a": "%25", "b": "ü", "c": ""}


def test_repeated_header(api: httpx.Client) -> None:
    event = event_of(api, headers=[("X-Test", "1"), ("X-Test", "2")])

    assert event["multiValueHeaders"]["x-test"] == ["1", "2"]
    assert event["headers"]["x-test"] == "2"


def test_context_names_the_host(api: httpx.Client) -> None:
    context = event_of(api)["requestContext"]

    assert context["domainName"] == api.headers["Host"].partition(":")[0]
    assert context["stage"] == "prod"


def test_preflight_reaches_the_function(api: httpx.Client) -> None:
    response = api.options("/", headers={"Origin": "https://spa.example.com"})

    assert response.json()["httpMethod"] == "OPTIONS"
    assert not any(name.startswith("access-control-") for name in response.headers)


@pytest.mark.parametrize("accept", [None, "*/*", "text/html", "application/json;q=0.1"])
def test_binary_response(api: httpx.Client, accept: str | None) -> None:
    content = bytes(range(256))
    response = {
        "statusCode": 200,
        "headers": {"Content-Type": "image/png"},
        "body": base64.b64encode(content).decode(),
        "isBase64Encoded": True,
    }
    request = api.build_request("PUT", "/", json=response, headers={"Accept": accept or ""})
    if accept is None:
        del request.headers["Accept"]

    received = api.send(request)

    assert received.content == content
    assert received.headers["Content-Type"] == "image/png"


def test_response_headers(api: httpx.Client) -> None:
    response = {
        "statusCode": 201,
        "headers": {"X-One": "1", "set-cookie": "lost=1"},
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
        "body": "ü",
    }

    received = api.put("/", json=response)

    assert received.status_code == 201
    assert received.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert received.headers["X-One"] == "1"
    assert received.content == "ü".encode()
    assert received.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "response",
    [None, "text", {}, {"statusCode": "x"}, {"statusCode": 200, "body": {}}],
    ids=repr,
)
def test_malformed_response(api: httpx.Client, response: object) -> None:
    received = api.put("/", json=response)

    assert received.status_code == 502
    assert received.json() == {"message": "Internal server error"}


def test_failing_function(api: httpx.Client) -> None:
    received = api.put("/", content=b"no JSON")

    assert received.status_code == 502
    assert received.json() == {"message": "Internal server error"}
    assert received.headers["Access-Control-Allow-Origin"] == "*"


def test_headers_over_10_kb(api: httpx.Client) -> None:
    assert api.get("/", headers={"Cookie": "x" * 9_000}).status_code == 200
    many = {f"X-{number}": "x" * 1_000 for number in range(11)}

    for headers in ({"Cookie": "x" * 10_240}, many):
        assert api.get("/", headers=headers).status_code == 431


def test_url_over_10_kb(api: httpx.Client) -> None:
    assert api.get(f"/{'x' * 9_000}").status_code == 200

    assert api.get(f"/{'x' * 10_240}").status_code == 414
    assert api.get(f"/?{'x' * 10_240}").status_code == 414


def test_body_over_10_mb(api: httpx.Client) -> None:
    response = api.post("/", content=b"x" * (10 * 1024 * 1024 + 1))

    assert response.status_code == 413
    assert "10485760" in response.text


def test_body_that_does_not_fit_into_a_lambda_event(api: httpx.Client) -> None:
    """Base64 makes it a third larger."""
    assert api.post("/", content=b"x" * 4_700_000).json()["body"] == 4_700_000

    response = api.post("/", content=b"x" * 4_800_000)

    assert response.status_code == 413
    assert response.json() == {"message": "Request Too Long"}
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_simultaneous_requests_to_the_site(cloud: Cloud) -> None:
    """Each of them invokes two functions, of which the first waits for the second."""
    number = 40
    with cloud.browser() as visitor, ThreadPoolExecutor(number) as pool:
        responses = list(pool.map(lambda _: visitor.get(""), range(number)))

    # 503: this machine has not enough memory for all of them.
    assert {response.status_code for response in responses} <= {200, 503}
    assert responses[0].status_code == 200


def test_function_that_takes_too_long(slow_response: "Future[httpx.Response]") -> None:
    response = slow_response.result()

    assert response.status_code == 504
    assert response.json() == {"message": "Endpoint request timed out"}
