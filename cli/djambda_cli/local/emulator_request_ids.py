"""Give an emulated invocation the request ID that its caller gets, as Lambda does.

The emulator responds to an invocation with another ID than the function's, so that the caller would
find nothing in the function's log.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import re
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

type Asgi = Callable[..., Awaitable[Any]]

INVOCATION_PATH = re.compile(r"/2015-03-31/functions/[^/]+/invocations")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The ID of the invocation that this context serves."""


class RequestIds:
    """The emulator's ASGI application `app`, whose invocations have the IDs in the responses."""

    def __init__(self, app: Asgi) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Asgi, send: Asgi) -> None:
        if scope["type"] != "http" or not INVOCATION_PATH.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        own_id = str(uuid.uuid4())
        request_id.set(own_id)

        async def send_with_id(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, own_id.encode() if name.lower() == b"x-amzn-requestid" else value)
                    for name, value in message["headers"]
                ]
            await send(message)

        await self._app(scope, receive, send_with_id)


def with_callers_id(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return the emulator's function that executes an invocation, with the caller's ID."""

    def execute_with_id(function: Any, config: Any, event: Any, own_id: str, started: float) -> Any:
        return execute(function, config, event, request_id.get() or own_id, started)

    return execute_with_id
