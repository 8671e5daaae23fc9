"""The adapters side by side, each set up as its documentation says, with binary bodies switched on.

Runs in the rivals' environment only. A contestant turns an application into a Lambda handler. What
was done beyond a plain call is said beside it.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module  # The type checker's environment has none of the rivals.
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

OURS = "djambda"
BINARY_TYPES = ("application/octet-stream", "image/png", "application/pdf", "application/zip")
"""For awsgi, which takes a list of whole content types."""


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
    """Its own `response`, line by line, and what PEP 3333 asks a server to do at the end."""
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
    """Its settings are environment variables, which it reads at each request."""
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
    """Its `LambdaHandler.handler`, with what its constructor would read from a settings module.

    DEBUG and the log level are those of production; its access log goes nowhere.
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
    """Takes an ASGI application. Django's has no lifespan."""
    make = import_module("mangum").Mangum
    return make(  # type: ignore[no-any-return]
        application, lifespan="off", api_gateway_base_path=base_path or "/"
    )


@dataclass(frozen=True)
class Contestant:
    """`make` takes the application and the base path it is at: "" is none, None no setting."""

    make: Callable[[Any, str | None], Handler]
    asgi: bool = False


CONTESTANTS = {
    OURS: Contestant(djambda),
    "aws-wsgi": Contestant(aws_wsgi),
    "aws-wsgi, made to close": Contestant(aws_wsgi_closing),
    "apig-wsgi": Contestant(apig_wsgi),
    "serverless-wsgi": Contestant(serverless_wsgi),
    "Zappa": Contestant(zappa),
    "Mangum (ASGI)": Contestant(mangum, asgi=True),
}
