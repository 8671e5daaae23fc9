"""Respond with 400 to requests that Django rejects before its own error handling starts.

Django decodes the URL prefix and parses a request's content type while it creates the request
object, outside the code that turns exceptions into responses. An unknown encoding there would end
as a crash of the function.
"""

import logging
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest, get_script_name
from django.core.signals import request_finished

logger = logging.getLogger(__name__)

BODY = b"Bad Request: the path or a header is malformed.\n"


class MalformedRequest(Exception):  # noqa: N818 (it is the visitor's error)
    """Django cannot create a request object from the environ."""


class CheckedRequest(WSGIRequest):
    """A request that raises `MalformedRequest` if its environ is malformed."""

    def __init__(self, environ: dict[str, Any]) -> None:
        try:
            super().__init__(environ)
        except (BadRequest, LookupError, SuspiciousOperation, ValueError) as error:
            raise MalformedRequest(f"{type(error).__name__}: {error}") from error


def reject_malformed_requests(application: WSGIApplication) -> WSGIApplication:
    """Return a WSGI application that responds with 400 where Django would raise."""
    WSGIHandler.request_class = CheckedRequest

    def checked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            _check_prefix(environ)
            return application(environ, start_response)
        except MalformedRequest as error:
            logger.warning("Bad Request: %s (%s)", environ["PATH_INFO"], error)
            headers = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(BODY))),
            ]
            start_response("400 Bad Request", headers)
            request_finished.send(sender=WSGIHandler)  # Releases the database connection.
            return [BODY]

    return checked


def _check_prefix(environ: WSGIEnvironment) -> None:
    try:
        get_script_name(environ)
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"the prefix of the path is not UTF-8: {error}") from error
