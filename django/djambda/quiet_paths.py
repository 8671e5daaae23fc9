"""Answer requests that every site gets, and that need no database, without the project's code.

A project's middleware, catch-all URL or template for 404 may query the database, and crawlers and
monitors request these paths all day long. A URL of the project for exactly that path wins.
"""

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from django.contrib.staticfiles.storage import staticfiles_storage
from django.urls import Resolver404, get_resolver

LIVENESS = "/livez"
ROBOTS = b"User-agent: *\nDisallow:\n"
"""Everything is permitted: https://www.rfc-editor.org/rfc/rfc9309"""
DAY = 86_400
TEXT = ("Content-Type", "text/plain")

type Answer = tuple[str, list[tuple[str, str]], bytes]


def is_quiet(environ: WSGIEnvironment) -> bool:
    """Return whether the request is answered here, unless the project has a URL for it."""
    return environ["PATH_INFO"] in ANSWERS and environ["REQUEST_METHOD"] in {"GET", "HEAD"}


def is_of_project(path: str) -> bool:
    """Return whether the project has a URL without parameters for this path."""
    try:
        match = get_resolver().resolve(path)
    except Resolver404:
        return False
    return not match.args and not match.captured_kwargs  # type: ignore[attr-defined]


def answer(
    environ: WSGIEnvironment, start_response: StartResponse, *, final: bool
) -> Iterable[bytes]:
    """Respond to a quiet request, as a WSGI application.

    Unless `final`, the project may have a URL for it, so the response must not be kept.
    """
    path = environ["PATH_INFO"]
    status, headers, body = ANSWERS[path]()
    is_kept = final and path != LIVENESS
    headers.append(("Cache-Control", f"max-age={DAY}" if is_kept else "no-store"))
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]


def _liveness() -> Answer:
    return "200 OK", [("Content-Type", "application/json")], b'{"status": "ok"}'


def _robots() -> Answer:
    return _static_file("robots.txt") or ("200 OK", [TEXT], ROBOTS)


def _favicon() -> Answer:
    return _static_file("favicon.ico") or ("404 Not Found", [TEXT], b"Not found.\n")


def _static_file(name: str) -> Answer | None:
    """Return a redirect to a static file, None if there is none of that name."""
    storage: Any = staticfiles_storage
    try:
        storage.stored_name(name)
        exists = name in storage.hashed_files
    except (AttributeError, ValueError):  # A storage without a manifest, or without the file.
        return None
    if not exists:
        return None
    return "302 Found", [("Location", storage.url(name)), TEXT], b""


ANSWERS = {LIVENESS: _liveness, "/robots.txt": _robots, "/favicon.ico": _favicon}
