"""The site's REST API as API Gateway serves it: the event, the response, and the limits.

The emulator's own API Gateway differs where a site notices it: it takes the visitor's address from
a header, decodes paths, responds to preflight requests, and has no limits of size and time. So
requests to a Lambda proxy integration are handled here, with the emulator's data about the API.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import asyncio
import base64
import binascii
import json
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from emulator_headers import request_headers, response_headers
from ministack.core.responses import _request_account_id, _request_region
from ministack.services import apigateway_v1

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Message, Receive, Send], Awaitable[None]]
type Headers = list[tuple[str, str]]

MAX_HEADERS = MAX_URL = 10_240
MAX_BODY = 10 * 1024 * 1024
TIMEOUT_SECONDS = 29
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"""
MAX_EVENT = 6 * 1024 * 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


@dataclass(frozen=True)
class Response:
    """A response; `headers` may repeat a name."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Route:
    """The resource and the function for one request; `base` is the path of the API, or ""."""

    base: str
    stage: dict[str, Any]
    resource: dict[str, Any]
    parameters: dict[str, str]
    function: str


class RestApi:
    """The REST API `api_id`; `app` is the emulator, which serves everything else.

    With `custom_domain`, its paths have no stage, as at a domain that is mapped to the API's stage.
    """

    def __init__(self, app: App, api_id: str, *, custom_domain: bool = False) -> None:
        self._app = app
        self._api_id = api_id
        self._custom_domain = custom_domain

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        owner = apigateway_v1.find_api_scope(self._api_id)
        account_token = _request_account_id.set(owner[0])
        region_token = _request_region.set(owner[1])
        try:
            route = self._route(scope)
            if route:
                response = await self._respond(scope, receive, route, owner)
            elif self._custom_domain:
                response = _plain(403, "This domain is not mapped to a stage.")
            else:
                await self._app(scope, receive, send)
                return
        finally:
            _request_account_id.reset(account_token)
            _request_region.reset(region_token)
        await _send(response, send)

    def _route(self, scope: Message) -> Route | None:
        """Return the route to a function, or None if there is another or no integration."""
        path = unquote(_raw_path(scope)).lstrip("/")
        stages = apigateway_v1._stages_v1.get(self._api_id, {})
        if self._custom_domain:
            base, stage = "", next(iter(stages.values()), None)
        else:
            name, _, path = path.partition("/")
            base, stage = f"/{name}", stages.get(name)
        segments = [segment for segment in path.split("/") if segment]
        resource, parameters = apigateway_v1._match_resource_tree(self._api_id, segments)
        methods = (resource or {}).get("resourceMethods", {})
        method = methods.get(scope["method"]) or methods.get("ANY") or {}
        integration = method.get("methodIntegration") or {}
        if not stage or integration.get("type") != "AWS_PROXY":
            return None
        uri = integration.get("uri", "")
        function = apigateway_v1._extract_lambda_ref_from_integration_uri(uri)
        return Route(base, stage, resource, parameters or {}, function)

    async def _respond(
        self, scope: Message, receive: Receive, route: Route, owner: tuple[str, str]
    ) -> Response:
        body = await _read(receive)
        if rejection := self._check(scope, body, route):
            return rejection
        event = build_event(scope, body or b"", route, api_id=self._api_id, account=owner[0])
        if len(json.dumps(event, ensure_ascii=False).encode(errors="replace")) > MAX_EVENT:
            return self._error(scope, route, "REQUEST_TOO_LARGE", "Request Too Long", 413)
        result = await self._invoke(route, event, owner)
        if result is None:  # The function continues.
            return self._error(
                scope, route, "INTEGRATION_TIMEOUT", "Endpoint request timed out", 504
            )
        if result.get("throttle"):
            return self._error(scope, route, "DEFAULT_5XX", "Internal server error", 500)
        response = None if result.get("error") else render_response(result["body"])
        return response or self._error(scope, route, "DEFAULT_5XX", "Internal server error", 502)

    def _check(self, scope: Message, body: bytes | None, route: Route) -> Response | None:
        """Return an error for a request that reaches no function."""
        # Plain text comes from the HTTP server in front of the API.
        if len(_raw_path(scope)) + len(scope["query_string"]) > MAX_URL:
            return _plain(414, f"An HTTP line is larger than {MAX_URL} bytes.")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
            return _plain(431, f"HTTP header is larger than {MAX_HEADERS} bytes.")
        if body is None:
            return _plain(413, f"HTTP content length exceeded {MAX_BODY} bytes.")
        name, resource = route.stage.get("stageName", ""), route.resource["path"]
        if apigateway_v1._check_throttle(
            route.stage, self._api_id, name, resource, scope["method"], None
        ):
            return self._error(scope, route, "THROTTLED", "Too Many Requests", 429)
        return None

    async def _invoke(
        self, route: Route, event: dict[str, Any], owner: tuple[str, str]
    ) -> dict[str, Any] | None:
        """Return the function's result, or None if it takes too long."""
        invocation = asyncio.ensure_future(
            apigateway_v1._call_lambda_raw(
                route.function, event, account_id=owner[0], region=owner[1]
            )
        )
        done, _ = await asyncio.wait({invocation}, timeout=TIMEOUT_SECONDS)
        if not done:
            return None
        result, missing = invocation.result()
        return {"error": True} if missing else result

    def _error(
        self, scope: Message, route: Route, response_type: str, message: str, status: int
    ) -> Response:
        """Return an error of the gateway itself, with the API's own headers for it."""
        request = {
            "api_id": self._api_id,
            "stage_name": route.stage.get("stageName", ""),
            "stage": route.stage,
            "headers": {name.decode("latin-1"): _text(value) for name, value in scope["headers"]},
            "query_params": {},
            "path_params": route.parameters,
            "resource_path": route.resource["path"],
            "request_id": str(uuid.uuid4()),
        }
        error = apigateway_v1._gw_error(response_type, message)
        _, headers, body = apigateway_v1._gateway_error_response(error, request)
        return Response(status, list(headers.items()), body)


def build_event(
    scope: Message, body: bytes, route: Route, *, api_id: str, account: str
) -> dict[str, Any]:
    """Return the event for a function: payload format 1.0.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format
    """
    headers = [(name.decode("latin-1"), _text(value)) for name, value in scope["headers"]]
    path = _raw_path(scope)
    address, port = (scope.get("client") or ("127.0.0.1", 0))[0], scope["server"][1]
    forwarded = [value for name, value in headers if name == "x-forwarded-for"]
    gateway = {"x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"}
    headers = [(name, value) for name, value in headers if name not in gateway]
    headers += [
        ("X-Forwarded-For", ", ".join([*forwarded, address])),
        ("X-Forwarded-Port", str(port)),
        ("X-Forwarded-Proto", scope.get("scheme", "http")),
    ]
    query = parse_qs(_text(scope["query_string"]), keep_blank_values=True)
    now = time.time()
    request_id = str(uuid.uuid4())
    host = next((value for name, value in headers if name == "host"), "")
    return {
        "resource": route.resource["path"],
        "path": path.removeprefix(route.base) or "/",  # As the client sent it.
        "httpMethod": scope["method"],
        "headers": request_headers(dict(headers)),
        "multiValueHeaders": request_headers(_grouped(headers)),
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": route.parameters or None,
        "stageVariables": route.stage.get("variables") or None,
        "requestContext": {
            "resourceId": route.resource["id"],
            "resourcePath": route.resource["path"],
            "httpMethod": scope["method"],
            "extendedRequestId": request_id,
            "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "path": path,
            "accountId": account,
            "protocol": f"HTTP/{scope.get('http_version', '1.1')}",
            "stage": route.stage.get("stageName", ""),
            "domainPrefix": host.partition(".")[0],
            "requestTimeEpoch": int(now * 1000),
            "requestId": request_id,
            "identity": {
                "sourceIp": address,
                "userAgent": next((value for name, value in headers if name == "user-agent"), None),
            },
            "domainName": host.partition(":")[0],
            "deploymentId": route.stage.get("deploymentId", ""),
            "apiId": api_id,
        },
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),  # All media types are binary.
    }


def render_response(result: bytes) -> Response | None:
    """Return the HTTP response for a function's result; None unless it has the required form.

    All media types are binary (`*/*`), so what the function has encoded is decoded for every
    client, whatever it accepts.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-output-format
    """
    try:
        payload: Any = json.loads(result)
        status = int(payload["statusCode"])
        body = "" if payload.get("body") is None else payload["body"]
        multiple = {
            name: [str(value) for value in values]
            for name, values in response_headers(payload.get("multiValueHeaders") or {}).items()
        }
        single = {
            name: [str(value)]
            for name, value in response_headers(payload.get("headers") or {}).items()
        }
        content = base64.b64decode(body) if payload.get("isBase64Encoded") else body.encode()
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        return None
    given = {name.lower() for name in multiple}
    headers = [
        (name, value)
        for name, values in [
            *((name, values) for name, values in single.items() if name.lower() not in given),
            *multiple.items(),
        ]
        for value in values
    ]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Response(status, [*headers, ("x-amzn-RequestId", str(uuid.uuid4()))], content)


def _plain(status: int, message: str) -> Response:
    return Response(status, [("Content-Type", "text/plain")], message.encode())


def _raw_path(scope: Message) -> str:
    raw = scope.get("raw_path") or scope["path"].encode()
    path: str = raw.decode("latin-1")
    return path.partition("?")[0]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _grouped(headers: Headers) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return grouped


async def _read(receive: Receive) -> bytes | None:
    """Return the request's body, or None if it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        if len(body) <= MAX_BODY:
            body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body) if len(body) <= MAX_BODY else None


async def _send(response: Response, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1", "replace"), value.encode("utf-8"))
        for name, value in response.headers
        if name.lower() != "content-length"
    ]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
