"""The applications of the adapter benchmark: one that does nothing, and Django.

Runs in the peers' environment. Django has startproject's settings; its views use no database.
"""

import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

MEBIBYTE = random.Random(1).randbytes(1024 * 1024)  # noqa: S311 (must be the same in each run)
ROWS = [
    {"id": number, "title": f"Note {number}", "text": "Ünïcödé and plain text, " * 3, "done": False}
    for number in range(54)
]


def null_wsgi(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


async def null_asgi(
    _scope: dict[str, Any],
    _receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def hello(_: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello, world")


def rows(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"rows": ROWS})


def cookies(_: HttpRequest) -> HttpResponse:
    response = HttpResponse("Three cookies")
    for name in ("one", "two", "three"):
        response.set_cookie(name, "0123456789abcdef", max_age=3600, secure=True, samesite="Lax")
    return response


def down(_: HttpRequest) -> HttpResponse:
    return HttpResponse(MEBIBYTE, content_type="application/octet-stream")


@csrf_exempt
def up(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


urlpatterns = [
    path("hello/", hello),
    path("rows/", rows),
    path("cookies/", cookies),
    path("down/", down),
    path("up/", up),
]


def django_applications() -> tuple[Any, Any]:
    """Return Django as a WSGI and an ASGI application, with startproject's apps and middleware."""
    settings.configure(
        SECRET_KEY="0" * 50,
        DEBUG=False,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
    )
    django.setup()
    return get_wsgi_application(), get_asgi_application()
