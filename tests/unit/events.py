"""Builders of the events that the Django Lambda gets, with what AWS sends in every field."""

import base64
from types import SimpleNamespace
from typing import Any

type Pairs = list[tuple[str, str]]

API_HOST = "a1b2c3.execute-api.eu-west-1.amazonaws.com"

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
) -> dict[str, Any]:
    """A request to a `LambdaRestApi`: on the API's own host, or on a custom domain with `stage=""`.

    `path` is the application's own; `base_path` is what a custom domain puts in front of it. Bytes
    as `body` are sent as base64, text as text.
    """
    sent = [
        ("Host", host),
        ("X-Forwarded-For", "203.0.113.7, 198.51.100.9"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
        *(headers or []),
    ]
    proxy = path.strip("/") if proxy is None else proxy
    encoded = isinstance(body, bytes)
    return {
        "resource": resource or ("/{proxy+}" if proxy else "/"),
        "path": base_path + path,
        "httpMethod": method,
        "headers": dict(sent) or None,
        "multiValueHeaders": grouped(sent) or None,
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": grouped(query) if query else None,
        "pathParameters": {"proxy": proxy} if proxy else None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource or ("/{proxy+}" if proxy else "/"),
            "httpMethod": method,
            "path": stage + base_path + path,
            "protocol": "HTTP/1.1",
            "stage": "prod",
            "domainName": host,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"sourceIp": "198.51.100.9", "userAgent": "Mozilla/5.0"},
        },
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": encoded,
    }


def grouped(pairs: Pairs) -> dict[str, list[str]]:
    """Each name with all of its values, as API Gateway's multiValue fields have them."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def body_of(answer: dict[str, Any]) -> bytes:
    """The bytes that a browser gets."""
    body: str = answer["body"]
    return base64.b64decode(body, validate=True) if answer["isBase64Encoded"] else body.encode()
