"""Admit only the local cloud's owner to the emulated APIs.

The emulator itself accepts every request. This ASGI middleware stands before it and requires a
Signature Version 4 made with the local cloud's generated credentials (or with temporary ones that
the emulated STS issued for them), so that neither a web page nor another user of this machine can
call an API. Open without a signature are, as on AWS: the site, whose visitors are anonymous; the
files that the bucket policy makes public; presigned URLs, which carry their signature; and the URLs
with a random token to which custom resources respond.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import re
from urllib.parse import parse_qs
from uuid import uuid4

from emulator_gateway import App, Message, Receive, RestApi, Send
from ministack.core import sigv4
from ministack.core.iam_actions import _s3_action, access_denied_response
from ministack.core.iam_evaluator import (
    EvalContext,
    ResolvedCredential,
    evaluate_resource_policy,
    resolve_credential,
)
from ministack.services import apigateway_v1, s3

READY_PATH = "/_ministack/ready"
RESPONSE_PATH = re.compile(r"/_ministack/cfn-response/[^/]+")

CREDENTIAL_SERVICE = re.compile(r"Credential=[^/]*/[^/]*/[^/]*/([^/]*)/")
SIGNATURE = "X-Amz-Signature"
SERVICE_HEADERS = {b"authorization", b"x-amz-target"}
POLICY_VIOLATION = 1008
"""https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1"""


class RefusedError(Exception):
    """The request is not the owner's; the message says what is missing."""


class Guard:
    """The emulator's ASGI application `app` on `port`, behind the checks."""

    def __init__(self, app: App, port: int) -> None:
        self._app = app
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._site = re.compile(rf"([a-z0-9]+)\.execute-api\.localhost:{port}")
        self._domain = re.compile(rf"([a-z0-9]+)\.localhost:{port}")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            app, receive, send = await self._admit(scope, receive, send)
        except RefusedError as error:
            await _refuse(scope, send, str(error))
            return
        await app(scope, receive, send)

    async def _admit(
        self, scope: Message, receive: Receive, send: Send
    ) -> tuple[App, Receive, Send]:
        """Return the application, what it receives from and sends to. Raises `RefusedError`."""
        if scope["type"] != "http":
            raise RefusedError("only HTTP is served here")
        headers = {
            name.decode("latin-1").lower(): sigv4.decode_header_value(value)
            for name, value in scope["headers"]
        }
        host = headers.get("host", "")
        if api := self._site.fullmatch(host):
            _check_stage(api[1], scope["path"])
            return RestApi(self._app, api[1]), receive, send
        if api := self._domain.fullmatch(host):
            _stages(api[1])
            return RestApi(self._app, api[1], custom_domain=True), receive, send
        if host not in self._hosts:
            raise RefusedError(f"the host {host!r} is not this machine's")
        method, path = scope["method"], scope["path"]
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if SIGNATURE not in query and _is_open(method, path, query):
            _drop_service(scope)
            scope["query_string"] = b""
            return self._app, receive, send
        if SIGNATURE in query:
            _verify(scope, query, headers, b"", presigned=True)
            _drop_service(scope)
            return self._app, receive, send
        _check_origin(headers, self._hosts)
        body = await _read(receive)
        _verify(scope, query, headers, body, presigned=False)
        return self._app, _replay(body, receive), _without_cors(send)


def _check_stage(api_id: str, path: str) -> None:
    """Refuse a path outside the API's stages, such as the emulator's administrative ones."""
    if path.lstrip("/").partition("/")[0] not in _stages(api_id):
        raise RefusedError("no API has this address")


def _stages(api_id: str) -> set[str]:
    """Return the names of an API's stages. Raises `RefusedError` if it does not exist."""
    all_stages = apigateway_v1._stages_v1.all_items()
    names = {
        name
        for (_account, _region, stored), stages in all_stages
        if stored == api_id
        for name in stages
    }
    if not names:
        raise RefusedError("no API has this address")
    return names


def _drop_service(scope: Message) -> None:
    """Remove the headers that select another service than the path does.

    Without its content type, the emulator reads no `Action` from the body of a form.
    """
    scope["headers"] = [
        (name, value)
        for name, value in scope["headers"]
        if name.lower() not in SERVICE_HEADERS
        and not (name.lower() == b"content-type" and b"form" in value.lower())
    ]


def _is_open(method: str, path: str, query: dict[str, list[str]]) -> bool:
    if method in {"GET", "HEAD"}:
        return path == READY_PATH or _is_public(path, query)
    return method == "PUT" and RESPONSE_PATH.fullmatch(path) is not None


def _is_public(path: str, query: dict[str, list[str]]) -> bool:
    """Return whether the bucket's policy lets everyone read the object at this path.

    S3 ignores other parameters than its own, such as `?v=1`.
    """
    if _s3_action("GET", path, query) != "GetObject" or any(
        name.startswith("response-") for name in query
    ):
        return False
    bucket, _, key = path.removeprefix("/").partition("/")
    request = EvalContext(
        principal_arn="*",
        principal_type="Anonymous",
        principal_account="",
        action="s3:GetObject",
        resource_arn=f"arn:aws:s3:::{bucket}/{key}",
        region="",
        source_ip="127.0.0.1",
        secure_transport=True,  # The local cloud has no TLS.
    )
    return any(
        evaluate_resource_policy(policy, request).decision == "Allow"
        for (_account, name), policy in s3._bucket_policies._data.items()
        if name == bucket
    )


def _check_origin(headers: dict[str, str], hosts: set[str]) -> None:
    """Refuse what a page of another site sends: https://www.w3.org/TR/fetch-metadata/."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] not in hosts:
        raise RefusedError("it comes from a page of another site")
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise RefusedError("it comes from a page of another site")


def _verify(
    scope: Message,
    query: dict[str, list[str]],
    headers: dict[str, str],
    body: bytes,
    *,
    presigned: bool,
) -> None:
    """Raise `RefusedError` unless the request has a valid signature of the owner."""
    if presigned:
        signature = sigv4.parse_query_signature(query)
        token = query.get("X-Amz-Security-Token", [""])[0]
    elif headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
        signature = sigv4.parse_header_signature(headers)
        token = headers.get("x-amz-security-token", "")
    else:
        raise RefusedError("it has no signature")
    if isinstance(signature, tuple):
        raise RefusedError(signature[1])
    if presigned and signature.service != "s3":
        raise RefusedError("only URLs of S3 objects can be presigned")
    credential = resolve_credential(signature.access_key_id, session_token=token)
    if not isinstance(credential, ResolvedCredential):
        raise RefusedError(credential.message)
    expires = query.get("X-Amz-Expires", ["0"])[0]
    try:
        expired = (
            sigv4.presigned_request_is_expired(signature.amz_date, expires)
            if presigned
            else sigv4.request_time_failure(signature) is not None
        )
    except ValueError:
        raise RefusedError("its signature has a malformed time") from None
    if expired:
        raise RefusedError("its signature has expired")
    raw_path = scope.get("raw_path") or scope["path"].encode()
    if sigv4.header_signature_failure(
        signature,
        credential.secret_access_key,
        scope["method"],
        raw_path.decode("latin-1"),
        query,
        headers,
        body,
        presigned=presigned,
    ):
        raise RefusedError("its signature does not match")


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _without_cors(send: Send) -> Send:
    """Drop the wildcard CORS headers that the emulator adds to every response of an API."""

    async def filtered(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                (name, value)
                for name, value in message.get("headers", [])
                if not name.lower().startswith(b"access-control-")
            ]
        await send(message)

    return filtered


async def _refuse(scope: Message, send: Send, reason: str) -> None:
    """Respond in the protocol of the service that is called, so that AWS's SDKs read the error."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    message = (
        f"The local cloud refused this request: {reason}. Use its credentials: source its "
        "variables file, which `djambda up` names."
    )
    authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    service = CREDENTIAL_SERVICE.search(authorization)
    status, headers, body = access_denied_response(
        service[1] if service else "",
        "",
        "",
        str(uuid4()),
        error_code="SignatureDoesNotMatch",
        message=message,
    )
    fields = {**headers, "Content-Length": str(len(body))}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
