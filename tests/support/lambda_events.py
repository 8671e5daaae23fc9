"""Builders of the HTTP events that the Django Lambda receives, complete in every field.

Tests describe a request once and build the event of each kind in `KINDS` from it; `received` reads
the responses of all kinds. The fields are those of AWS's documentation (cited in `djambda.awsgi`)
and of events captured on AWS:
https://github.com/hotsock/voker/tree/main/vokerhttp/testdata
"""

import base64
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote_plus, unquote, urlencode

type Event = dict[str, Any]
type Pairs = list[tuple[str, str]]

API_HOST = "a1b2c3.execute-api.eu-west-1.amazonaws.com"
FUNCTION_URL_HOST = "d4e5f6.lambda-url.eu-west-1.on.aws"
BALANCER_HOST = "site-1234567890.eu-west-1.elb.amazonaws.com"

CLIENT = "198.51.100.9"
FORGED = "203.0.113.7"
"""The client's own X-Forwarded-For; AWS appends the address that it sees."""

TRACE = "Root=1-67891233-abcdef012345678912345678"

CONTEXT = SimpleNamespace(
    aws_request_id="8a0f7b4e-0000-4000-8000-000000000000",
    log_group_name="/aws/lambda/dev-mysite-djambda-lambda",
)


def make_v1_event(
    method: str = "GET",
    path: str = "/",
    *,
    query: Pairs | None = None,
    headers: Pairs | None = None,
    body: str | bytes | None = None,
    stage: str = "/prod",
    base_path: str = "",
    host: str = API_HOST,
    resource: str | None = None,
    proxy: str | None = None,
) -> Event:
    """Build a request to a `LambdaRestApi`; with `stage=""`, on a custom domain.

    `path` is the application's own path, encoded; `base_path` precedes it on a custom domain. A
    `body` of bytes is sent as base64.
    """
    sent = [
        ("Host", host),
        ("X-Amzn-Trace-Id", TRACE),
        ("X-Forwarded-For", f"{FORGED}, {CLIENT}"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
        *(headers or []),
    ]
    proxy = path.strip("/") if proxy is None else proxy
    resource = resource or ("/{proxy+}" if proxy else "/")
    return {
        "resource": resource,
        "path": base_path + path,
        "httpMethod": method,
        "headers": dict(sent),
        "multiValueHeaders": grouped(sent),
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": grouped(query) if query else None,
        "pathParameters": {"proxy": proxy} if proxy else None,
        "stageVariables": None,
        "requestContext": {
            "resourceId": "al6gqb",
            "resourcePath": resource,
            "httpMethod": method,
            "extendedRequestId": "ATfSdF7nPHcErRA=",
            "requestTime": "24/Nov/2026:09:00:00 +0000",
            "path": stage + base_path + path,
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": "prod",
            "domainPrefix": host.partition(".")[0],
            "requestTimeEpoch": 1_795_510_800_000,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {
                "cognitoIdentityPoolId": None,
                "accountId": None,
                "cognitoIdentityId": None,
                "caller": None,
                "sourceIp": CLIENT,
                "principalOrgId": None,
                "accessKey": None,
                "cognitoAuthenticationType": None,
                "cognitoAuthenticationProvider": None,
                "userArn": None,
                "userAgent": "Mozilla/5.0",
                "user": None,
            },
            "domainName": host,
            "deploymentId": "d1e2p3",
            "apiId": "a1b2c3",
        },
        **_body(body),
    }


def make_v2_event(
    method: str = "GET",
    path: str = "/",
    *,
    query: Pairs | None = None,
    headers: Pairs | None = None,
    body: str | bytes | None = None,
    stage: str = "/prod",
    base_path: str = "",
    host: str = API_HOST,
    resource: str | None = None,
    proxy: str | None = None,
    function_url: bool = False,
) -> Event:
    """Build a request to an HTTP API or, with `function_url`, to a Function URL.

    An HTTP API's stage is `$default` with `stage=""`; its route is `$default` without `resource`.
    An HTTP API decodes the path, a Function URL does not.
    """
    if function_url:
        stage, host = "", FUNCTION_URL_HOST
    whole = stage + base_path + path
    sent = [
        ("host", host),
        ("x-amzn-trace-id", TRACE),
        ("x-forwarded-for", f"{FORGED}, {CLIENT}"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
        *((name.lower(), value) for name, value in headers or []),
    ]
    joined = {name: ",".join(values) for name, values in grouped(sent).items() if name != "cookie"}
    cookies = [cookie for name, value in sent if name == "cookie" for cookie in value.split("; ")]
    if cookies and function_url:  # An HTTP API omits that header.
        joined["cookie"] = "; ".join(cookies)
    proxy = path.strip("/") if proxy is None else proxy
    route = f"ANY {resource}" if resource else "$default"
    event = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": whole if function_url else unquote(whole),
        "rawQueryString": urlencode(query or []),
        "cookies": cookies,
        "headers": joined,
        "queryStringParameters": {
            name: ",".join(values) for name, values in grouped(query or []).items()
        },
        "requestContext": {
            "accountId": "anonymous" if function_url else "123456789012",
            "apiId": "d4e5f6" if function_url else "a1b2c3",
            "authentication": None,
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": method,
                "path": unquote(whole),
                "protocol": "HTTP/1.1",
                "sourceIp": CLIENT,
                "userAgent": "Mozilla/5.0",
            },
            "requestId": "ATfSmjLgPHcESJw=",
            "routeKey": route,
            "stage": stage.strip("/") or "$default",
            "time": "24/Nov/2026:09:00:00 +0000",
            "timeEpoch": 1_795_510_800_000,
        },
        "pathParameters": {"proxy": unquote(proxy)} if resource and proxy else {},
        **_body(body),
    }
    # Version 2.0 omits empty fields.
    optional = {"cookies", "queryStringParameters", "pathParameters", "body"}
    return {name: value for name, value in event.items() if value or name not in optional}


def make_alb_event(
    method: str = "GET",
    path: str = "/",
    *,
    multi_value: bool,
    query: Pairs | None = None,
    headers: Pairs | None = None,
    body: str | bytes | None = None,
    host: str = BALANCER_HOST,
) -> Event:
    """Build a request to an Application Load Balancer, with or without multi-value headers.

    Without them, only the last of several values is sent. Queries are not decoded.
    """
    sent = [
        ("host", host),
        ("x-amzn-trace-id", TRACE),
        ("x-forwarded-for", f"{FORGED}, {CLIENT}"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
        *((name.lower(), value) for name, value in headers or []),
    ]
    encoded = [(quote_plus(name), quote_plus(value)) for name, value in query or []]
    arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/site/0123456789abcdef"
    values = (
        {"multiValueQueryStringParameters": grouped(encoded), "multiValueHeaders": grouped(sent)}
        if multi_value
        else {"queryStringParameters": dict(encoded), "headers": dict(sent)}
    )
    return {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": method,
        "path": path,
        **values,
        **_body(body or ""),
    }


def grouped(pairs: Pairs) -> dict[str, list[str]]:
    """Return each name with all of its values, like the multiValue fields."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def field_paths(value: object, parent: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path to every field of an event, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*parent, name)
            yield from field_paths(inner, (*parent, name))


def _body(body: str | bytes | None) -> dict[str, Any]:
    if isinstance(body, bytes):
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return {"body": body, "isBase64Encoded": False}


class Kind(NamedTuple):
    """A kind of events: its name, its builder, and the results of the builder's defaults."""

    name: str
    make: Callable[..., Event]
    prefix: str
    """The SCRIPT_NAME."""
    host: str


REST_API = Kind("REST API", make_v1_event, "/prod", API_HOST)
HTTP_API = Kind("HTTP API", make_v2_event, "/prod", API_HOST)
FUNCTION_URL = Kind(
    "Function URL", partial(make_v2_event, function_url=True), "", FUNCTION_URL_HOST
)
ALB = Kind("ALB", partial(make_alb_event, multi_value=False), "", BALANCER_HOST)
ALB_MULTI_VALUE = Kind(
    "ALB multi-value", partial(make_alb_event, multi_value=True), "", BALANCER_HOST
)
KINDS = [REST_API, HTTP_API, FUNCTION_URL, ALB, ALB_MULTI_VALUE]


class Received(NamedTuple):
    """The response that a browser receives, for any format of the function's response."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes


def received(response: dict[str, Any]) -> Received:
    """Convert a function's response like AWS; several values of a header are joined, as in HTTP."""
    pairs = [
        (name.lower(), value)
        for name, values in response.get("multiValueHeaders", {}).items()
        for value in values
    ]
    pairs += [(name.lower(), value) for name, value in response.get("headers", {}).items()]
    cookies = [value for name, value in pairs if name == "set-cookie"]
    headers = {n: ", ".join(values) for n, values in grouped(pairs).items() if n != "set-cookie"}
    return Received(
        response["statusCode"], headers, cookies + response.get("cookies", []), body_of(response)
    )


def body_of(response: dict[str, Any]) -> bytes:
    """Return the body's bytes."""
    body: str = response["body"]
    return base64.b64decode(body, validate=True) if response["isBase64Encoded"] else body.encode()
