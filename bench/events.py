"""Events of AWS's four HTTP formats, with every field that AWS sends.

The adapter benchmark times one of them, a request of Chrome through a REST API. The correctness
checks use variations of all.
"""

import base64
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

type Pairs = Iterable[tuple[str, str]]
type Event = dict[str, Any]

REST_HOST = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
HTTP_API_HOST = "f6g7h8i9j0.execute-api.eu-west-1.amazonaws.com"
FUNCTION_URL_HOST = "k1l2m3n4o5p6q7r8.lambda-url.eu-west-1.on.aws"
BALANCER_HOST = "site-1234567890.eu-west-1.elb.amazonaws.com"
OWN_DOMAIN = "www.example.com"
CLIENT = "198.51.100.9"
FORGED = "203.0.113.7"
EDGE = "130.176.1.2"

CONTEXT = SimpleNamespace(
    aws_request_id="8a0f7b4e-0000-4000-8000-000000000000",
    function_name="site",
    function_version="$LATEST",
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:site",
    log_group_name="/aws/lambda/site",
    log_stream_name="2026/11/24/[$LATEST]0123456789abcdef",
    memory_limit_in_mb="1024",
    get_remaining_time_in_millis=lambda: 29_000,
)

CHROME = (
    (
        "accept",
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
            "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
        ),
    ),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    ("cache-control", "max-age=0"),
    ("cookie", "csrftoken=0123456789abcdefghijklmnopqrstuv; theme=dark; consent=necessary"),
    ("priority", "u=0, i"),
    ("referer", f"https://{REST_HOST}/prod/notes/"),
    ("sec-ch-ua", '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-user", "?1"),
    ("upgrade-insecure-requests", "1"),
    (
        "User-Agent",
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/142.0.0.0 Safari/537.36"
        ),
    ),
)
"""The headers of Chrome for a followed link; API Gateway adds others."""


def rest(
    method: str = "GET",
    path: str = "/",
    *,
    query: Pairs = (),
    headers: Pairs = (),
    body: str | bytes | None = None,
    base_path: str | None = None,
) -> Event:
    """Return a REST API's event (v1), on the API's own host with the stage `prod`.

    The API is edge-optimized, which is the default: CloudFront is the last proxy. With `base_path`
    ("" or "/shop") the request goes to the custom domain that maps this path. A `body` of bytes is
    encoded as base64.
    """
    host = REST_HOST if base_path is None else OWN_DOMAIN
    sent = (*headers, ("Host", host), *_added(f"{FORGED}, {CLIENT}, {EDGE}"))
    proxy = path.strip("/")
    return {
        "resource": "/{proxy+}" if proxy else "/",
        "path": (base_path or "") + path,
        "httpMethod": method,
        "headers": dict(sent),
        "multiValueHeaders": grouped(sent),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": grouped(query) or None,
        "pathParameters": {"proxy": proxy} if proxy else None,
        "stageVariables": None,
        "requestContext": {
            "resourceId": "2gxmpl",
            "resourcePath": "/{proxy+}" if proxy else "/",
            "httpMethod": method,
            "extendedRequestId": "JJbxmplHYosFVYQ=",
            "requestTime": "24/Nov/2026:09:00:00 +0000",
            "path": ("/prod" if base_path is None else base_path) + path,
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
                "userAgent": dict(headers).get("User-Agent", "curl/8.16.0"),
                "user": None,
            },
            "domainName": host,
            "deploymentId": "d1e2p3",
            "apiId": "a1b2c3d4e5",
        },
        **_body(body),
    }


def http_api(
    method: str = "GET",
    path: str = "/",
    *,
    query: str = "",
    headers: Pairs = (),
    cookies: Iterable[str] = (),
    body: str | bytes | None = None,
    stage: str = "$default",
    host: str = HTTP_API_HOST,
) -> Event:
    """Return an HTTP API's event (v2). `path` includes the stage if the host does."""
    sent = (*headers, ("host", host), *_added(f"{FORGED}, {CLIENT}"))
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "cookies": list(cookies),
        "headers": {name.lower(): ",".join(values) for name, values in grouped(sent).items()},
        "queryStringParameters": {
            name: ",".join(values)
            for name, values in grouped(
                part.partition("=")[::2] for part in query.split("&") if part
            ).items()
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": host.partition(".")[0] if host != OWN_DOMAIN else "f6g7h8i9j0",
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": CLIENT,
                "userAgent": "curl/8.16.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": stage,
            "time": "24/Nov/2026:09:00:00 +0000",
            "timeEpoch": 1_795_510_800_000,
        },
        **_body(body),
    }
    # Version 2.0 omits empty fields.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    optional = {"cookies", "queryStringParameters", "body"}
    return {name: value for name, value in event.items() if value or name not in optional}


def function_url(method: str = "GET", path: str = "/", **options: Any) -> Event:
    """Return a Function URL's event: v2, with the path as the client encoded it and no stage."""
    return http_api(method, path, host=FUNCTION_URL_HOST, **options)


def balancer(
    method: str = "GET",
    path: str = "/",
    *,
    query: Pairs = (),
    headers: Pairs = (),
    body: str | bytes | None = None,
    multi_value: bool = False,
) -> Event:
    """Return an Application Load Balancer's event; `query` is as the client encoded it."""
    sent = [
        (name.lower(), value)
        for name, value in (*headers, ("host", BALANCER_HOST), *_added(f"{FORGED}, {CLIENT}"))
    ]
    fields: Event = (
        {"multiValueQueryStringParameters": grouped(query), "multiValueHeaders": grouped(sent)}
        if multi_value
        else {"queryStringParameters": dict(query), "headers": dict(sent)}
    )
    arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/site/0123456789abcdef"
    return {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": method,
        "path": path,
        **fields,
        **_body(body),
        "body": _body(body)["body"] or "",
    }


def grouped(pairs: Pairs) -> dict[str, list[str]]:
    """Return the values of each name."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _added(addresses: str) -> Pairs:
    """Return the headers that AWS adds; only REST APIs do not convert them to lower case."""
    return (
        ("X-Amzn-Trace-Id", "Root=1-6920f5d0-0123456789abcdef01234567"),
        ("X-Forwarded-For", addresses),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
    )


def _body(body: str | bytes | None) -> Event:
    encoded = isinstance(body, bytes)
    return {
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": encoded,
    }
