"""Respond to a web request within the time that its visitor waits.

Two things keep a visitor waiting: a request that takes too long, which is stopped, and a paused
database. The response is then an explanation, which the proxy renders.
"""

import logging
import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.db import connections
from django.urls import get_resolver

from djambda import awsgi, deadline
from djambda.deadline import DatabaseNeeded, RequestTimedOut, limited_request
from djambda.quiet_paths import answer, is_of_project, is_quiet
from djambda_common.problem import SAFE_METHODS, TIMED_OUT, UNFINISHED, WAKING_UP, is_navigation

SERVER_ERROR = 500

LONGEST_RESUME = deadline.COMMAND_SECONDS

log = logging.getLogger("django.request")

_urls_are_loaded = False

_absences: list[float] = []
"""The times of the first and the last of the requests in a row that got no connection."""


def respond(application: WSGIApplication, event: Any, context: object) -> awsgi.Response:
    """Return the response to an HTTP event, or one that explains why there is none."""
    request = _Request(application)
    try:
        with limited_request(event, context):
            response = awsgi.response(request, event, context)
    except RequestTimedOut:
        request.log_timeout()
        deadline.stop_threads()
        _release_connections()
        return awsgi.problem_response(event, TIMED_OUT, context)
    except DatabaseNeeded:
        return _waking_up(event, context)
    except Exception:
        if not is_waking_up():
            raise
        return _waking_up(event, context)
    if response["statusCode"] >= SERVER_ERROR and is_waking_up():
        return _waking_up(event, context, response)
    if response["statusCode"] >= SERVER_ERROR and deadline.current.is_without_database:
        return awsgi.problem_response(event, UNFINISHED, context, response)
    if deadline.current.connected:
        _absences.clear()
    return response


def _waking_up(
    event: Any, context: object, replaced: awsgi.Response | None = None
) -> awsgi.Response:
    """Return the response about a paused database. It is an error if it does not wake up."""
    now = time.time()
    if not _absences or not 0 <= now - _absences[-1] < LONGEST_RESUME:
        _absences[:] = [now]
    _absences[1:] = [now]
    seconds = now - _absences[0]
    deadline.current.is_late = True  # A log handler may send mail.
    log.log(
        logging.ERROR if seconds > LONGEST_RESUME else logging.INFO,
        "The database has not responded for %d s, and the visitor is told that it is waking up: %s",
        *(seconds, deadline.current.error),
    )
    return awsgi.problem_response(event, WAKING_UP, context, replaced)


def load_urls(*, wait: bool) -> None:
    """Load the URLconf and the views. Raises `DatabaseNeeded` if they need it and it is paused."""
    global _urls_are_loaded  # noqa: PLW0603 (like Django's own caches)
    if not _urls_are_loaded:
        with deadline.current.require_database(wait=wait):
            get_resolver().reverse_dict  # noqa: B018 (has this effect)
        _urls_are_loaded = True


def is_waking_up() -> bool:
    """Return whether the request has given up connecting and has done nothing else."""
    return deadline.current.is_without_database and not deadline.current.acted


def ignore_waking_up(record: logging.LogRecord) -> bool:
    """Filter out Django's error about a paused database: nothing has failed, the visitor waits."""
    return getattr(record, "status_code", 0) < SERVER_ERROR or not is_waking_up()


log.addFilter(ignore_waking_up)


class _Request:
    """One call of the application, which the log can describe."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._name = "a request"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["SCRIPT_NAME"] + environ["PATH_INFO"]
        self._name = f"{method} {path}"
        deadline.current.is_safe = method in SAFE_METHODS
        names = ("HTTP_SEC_FETCH_MODE", "HTTP_SEC_FETCH_DEST", "HTTP_ACCEPT")
        if is_navigation(method, *(environ.get(name, "") for name in names)):
            deadline.current.show_page_soon()
        if is_quiet(environ) and not (_urls_are_loaded and is_of_project(environ["PATH_INFO"])):
            return answer(environ, start_response, final=_urls_are_loaded)
        load_urls(wait=True)
        return self._application(environ, start_response)

    def log_timeout(self) -> None:
        """Log where the request hung, in the main thread and in those that it has started."""
        frames = sys._current_frames()
        stacks = "".join(
            f"\nThread {thread.name}:\n{''.join(traceback.format_stack(frames[thread.ident]))}"
            for thread in deadline.current.started_threads()
            if thread.ident in frames
        )
        log.error(
            "Stopped because it took too long: %s%s",
            *(self._name, stacks),
            exc_info=True,
            extra={"status_code": TIMED_OUT.status},
        )


def _release_connections() -> None:
    """Close all connections, whose state is unknown, and do what Django does after a request."""
    for connection in connections.all(initialized_only=True):
        with suppress(Exception):
            connection.close()
        del connections[connection.alias]
    request_finished.send(sender=WSGIHandler)
