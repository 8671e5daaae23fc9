"""Builders of the events that the Django Lambda gets, with what AWS sends in every field.

One description of a request makes the event of each kind, so that the same assertions hold for all
of them: see `KINDS`, and `received` for the way back. The shapes are those of AWS's pages (named in
`djambda.awsgi`) and of events captured on AWS, where these say more:
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
"""What the client put into X-Forwarded-For; AWS appends the address that it sees."""

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
    """A request to a `LambdaRestApi`: on the API's own host, or on a custom domain with `stage=""`.

    `path` is the application's own, as the client encodes it; `base_path` is what a custom domain
    puts in front of it. Bytes as `body` are sent as base64, text as text.
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
    """A request to an HTTP API or, with `function_url`, to a Function URL.

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
    if cookies and function_url:  # An HTTP API leaves that header out.
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
    # What a request does not have is left out of version 2.0.
    left_out = {"cookies", "queryStringParameters", "pathParameters", "body"}
    return {name: value for name, value in event.items() if value or name not in left_out}


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
    """A request to an Application Load Balancer, whose target group has multi-value headers or not.

    Without them only the last of several values gets through. Queries stay as they are encoded.
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
    """Each name with all of its values, as the multiValue fields have them."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def places(value: object, way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The ways to every field of an event, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*way, name)
            yield from places(inner, (*way, name))


def _body(body: str | bytes | None) -> dict[str, Any]:
    if isinstance(body, bytes):
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return {"body": body, "isBase64Encoded": False}


class Kind(NamedTuple):
    """One kind of events: its name, its builder, and what belongs to the builder's defaults."""

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
    """What a browser gets, whichever format the answer has."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes


def received(answer: dict[str, Any]) -> Received:
    """What AWS makes of an answer. Several values of a header come joined, as in HTTP."""
    pairs = [
        (name.lower(), value)
        for name, values in answer.get("multiValueHeaders", {}).items()
        for value in values
    ]
    pairs += [(name.lower(), value) for name, value in answer.get("headers", {}).items()]
    cookies = [value for name, value in pairs if name == "set-cookie"]
    headers = {n: ", ".join(values) for n, values in grouped(pairs).items() if n != "set-cookie"}
    return Received(
        answer["statusCode"], headers, cookies + answer.get("cookies", []), body_of(answer)
    )


def body_of(answer: dict[str, Any]) -> bytes:
    """The bytes that a browser gets."""
    body: str = answer["body"]
    return base64.b64decode(body, validate=True) if answer["isBase64Encoded"] else body.encode()
