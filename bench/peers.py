"""djambda's adapter and its peers, configured as their documentation says, with binary bodies.

Runs in the peers' environment only. An adapter turns an application into a Lambda handler. The
docstrings describe settings beyond a plain call.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module  # The type checker has no peers.
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

OURS = "djambda"
BINARY_TYPES = ("application/octet-stream", "image/png", "application/pdf", "application/zip")
"""For awsgi, which needs a list of complete content types."""


def djambda(application: Any, _: str | None) -> Handler:
    response = import_module("djambda.awsgi").response

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return response(application, event, context)  # type: ignore[no-any-return]

    return handler


def aws_wsgi(application: Any, _: str | None) -> Handler:
    response = import_module("awsgi").response

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return response(application, event, context, BINARY_TYPES)  # type: ignore[no-any-return]

    return handler


def aws_wsgi_closing(application: Any, _: str | None) -> Handler:
    """The lines of its `response`, and the call of `close()` that PEP 3333 requires."""
    awsgi = import_module("awsgi")

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        environ, start_response_type = awsgi.select_impl(event, context)
        start_response = start_response_type(base64_content_types=BINARY_TYPES)
        output = application(environ(event, context), start_response)
        try:
            return start_response.response(output)  # type: ignore[no-any-return]
        finally:
            if hasattr(output, "close"):
                output.close()

    return handler


def apig_wsgi(application: Any, _: str | None) -> Handler:
    make = import_module("apig_wsgi").make_lambda_handler
    return make(application, binary_support=True)  # type: ignore[no-any-return]


def serverless_wsgi(application: Any, base_path: str | None) -> Handler:
    """Its settings are environment variables, which it reads on each request."""
    handle_request = import_module("serverless_wsgi").handle_request
    variables = {}
    if base_path is not None:
        variables = (
            {"API_GATEWAY_BASE_PATH": base_path.strip("/")}
            if base_path
            else {"STRIP_STAGE_PATH": "yes"}
        )

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return handle_request(application, event, context)  # type: ignore[no-any-return]

    def handler_with_settings(event: dict[str, Any], context: Any) -> dict[str, Any]:
        with patch.dict(os.environ, variables):
            return handler(event, context)

    return handler_with_settings if variables else handler


def zappa(application: Any, base_path: str | None) -> Handler:
    """Its `LambdaHandler.handler`, with the values that it would read from a settings module.

    DEBUG and the log level are those of production; the access log is discarded.
    """
    module = import_module("zappa.handler")
    logging.getLogger("zappa").setLevel(logging.INFO)
    handler = object.__new__(module.LambdaHandler)
    handler.settings = SimpleNamespace(
        DEBUG=False,
        BINARY_SUPPORT=True,
        API_STAGE="prod",
        DOMAIN=None,
        BASE_PATH=(base_path or "").strip("/") or None,
        CONTEXT_HEADER_MAPPINGS=None,
        EXCEPTION_HANDLER=None,
    )
    handler.app_type = "wsgi"
    handler.trailing_slash = True
    handler._text_mimetypes = module.DEFAULT_TEXT_MIMETYPES
    handler.wsgi_app = module.ZappaWSGIMiddleware(application)
    return handler.handler  # type: ignore[no-any-return]


def mangum(application: Any, base_path: str | None) -> Handler:
    """It takes an ASGI application. Django's does not support lifespan events."""
    make = import_module("mangum").Mangum
    return make(  # type: ignore[no-any-return]
        application, lifespan="off", api_gateway_base_path=base_path or "/"
    )


@dataclass(frozen=True)
class Adapter:
    """An adapter: `make` takes the application and its base path.

    The path "" means that there is none, None that the adapter gets no such setting.
    """

    make: Callable[[Any, str | None], Handler]
    asgi: bool = False


ADAPTERS = {
    OURS: Adapter(djambda),
    "aws-wsgi": Adapter(aws_wsgi),
    "aws-wsgi with close()": Adapter(aws_wsgi_closing),
    "apig-wsgi": Adapter(apig_wsgi),
    "serverless-wsgi": Adapter(serverless_wsgi),
    "Zappa": Adapter(zappa),
    "Mangum (ASGI)": Adapter(mangum, asgi=True),
}
