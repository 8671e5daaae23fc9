"""`djambda.awsgi` with the real Django: login, files, streams, middleware, URLs, connections.

`test_awsgi.py` tests the protocol itself.
"""

import gzip
import json
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.db import connection
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import redirect
from django.urls import path, reverse
from django.views.decorators.csrf import csrf_exempt
from pytest_django import Settings

from djambda import awsgi
from shop.urls import urlpatterns as shop_urlpatterns
from tests.support.lambda_events import (
    ALB,
    API_HOST,
    BALANCER_HOST,
    CLIENT,
    CONTEXT,
    FUNCTION_URL_HOST,
    HTTP_API,
    KINDS,
    REST_API,
    Kind,
    Pairs,
    Received,
    received,
)

EVERY_BYTE = bytes(range(256)) * 40
TEXT = "Ünïcödé 🐘 " * 1000

closed_streams: list[str] = []


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    assert isinstance(file, UploadedFile)
    assert file.name
    return HttpResponse(default_storage.save(file.name, file))


def download(_: HttpRequest, name: str) -> FileResponse:
    return FileResponse(default_storage.open(name), as_attachment=True)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        try:
            yield TEXT
            if "break" in request.GET:
                raise ZeroDivisionError
            yield "end"
        finally:
            closed_streams.append(request.path)

    return StreamingHttpResponse(parts(), content_type="text/plain; charset=utf-8")


def text(_: HttpRequest) -> HttpResponse:
    return HttpResponse(TEXT, content_type="text/plain; charset=utf-8")


def seen(request: HttpRequest, name: str) -> JsonResponse:
    return JsonResponse(
        {
            "name": name,
            "path": request.path,
            "path_info": request.path_info,
            "url": request.build_absolute_uri(),
            "query": dict(request.GET.lists()),
            "cookies": request.COOKIES,
            "address": request.META["REMOTE_ADDR"],
            "header": request.headers["X-Some"],
            "reversed": reverse("seen", args=[name]),
        }
    )


def elsewhere(_: HttpRequest) -> HttpResponse:
    return redirect("seen", "café")


def query(_: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return HttpResponse(str(cursor.fetchone()[0]))


def fail(_: HttpRequest) -> NoReturn:
    raise ZeroDivisionError


urlpatterns = [
    path("upload", upload),
    path("download/<str:name>", download),
    path("stream", stream),
    path("text", text),
    path("ünï/<str:name>/", seen, name="seen"),
    path("elsewhere", elsewhere),
    path("query", query),
    path("fail", fail),
    *shop_urlpatterns,
]

# Django closes connections at the end of a request, which ends a test's transaction.
in_database = pytest.mark.django_db(transaction=True)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


@pytest.fixture(autouse=True)
def site(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = [API_HOST, FUNCTION_URL_HOST, BALANCER_HOST, "www.example.com"]
    settings.STATIC_URL = "https://static.example.com/"  # As on AWS.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Fast.


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def finished() -> Iterator[list[object]]:
    """Return a list that gets an entry for each finished request."""
    requests: list[object] = []

    def note(sender: object, **_: object) -> None:
        requests.append(sender)

    request_finished.connect(note)
    yield requests
    request_finished.disconnect(note)


class Browser:
    """Sends requests to the site, keeps cookies and sends forms.

    `address` has arguments of the kind's builder, such as the host.
    """

    def __init__(self, kind: Kind = REST_API, **address: Any) -> None:
        self._kind = kind
        self._address = address
        self._application = WSGIHandler()
        self._cookies: SimpleCookie = SimpleCookie()

    def get(
        self, path: str, *, query: Pairs | None = None, headers: Pairs | None = None
    ) -> Received:
        return self.request("GET", path, query=query, headers=headers)

    def post(self, path: str, body: bytes, content_type: str) -> Received:
        origin = f"https://{self._address.get('host', self._kind.host)}"
        headers = [("Content-Type", content_type), ("Origin", origin)]
        return self.request("POST", path, body=body, headers=headers)

    def request(
        self, method: str, path: str, *, headers: Pairs | None = None, **arguments: Any
    ) -> Received:
        sent = [*(headers or [])]
        if self._cookies:
            pairs = [f"{name}={cookie.value}" for name, cookie in self._cookies.items()]
            sent.append(("Cookie", "; ".join(pairs)))
        event = self._kind.make(method, path, headers=sent, **arguments, **self._address)
        # Through JSON, like the events and responses of Lambda.
        response = awsgi.response(self._application, json.loads(json.dumps(event)), CONTEXT)
        got = received(json.loads(json.dumps(response)))
        for cookie in got.cookies:
            self._cookies.load(cookie)
        return got


# Django's request


@each_kind
def test_request_object_of_django(kind: Kind) -> None:
    name = "café 50% a+b 🐘" if kind is not HTTP_API else "café a+b 🐘"  # It rejects "%25".
    url_path = f"/ünï/{name}/"

    response = Browser(kind).get(
        quote(url_path),
        query=[("q", "ä"), ("r", "2")],
        headers=[("Cookie", "a=1; b=2"), ("X-Some", "thing")],
    )

    assert json.loads(response.body) == {
        "name": name,
        "path": kind.prefix + url_path,
        "path_info": url_path,
        "url": f"https://{kind.host}{kind.prefix}{quote(url_path, safe='/+')}?q=%C3%A4&r=2",
        "query": {"q": ["ä"], "r": ["2"]},
        "cookies": {"a": "1", "b": "2"},
        "address": CLIENT,
        "header": "thing",
        "reversed": kind.prefix + quote(url_path, safe="/+"),
    }


ADDRESSES = [
    *[(kind, {}, kind.prefix) for kind in KINDS],
    (REST_API, {"host": "www.example.com", "stage": ""}, ""),
    (REST_API, {"host": "www.example.com", "stage": "", "base_path": "/shop"}, "/shop"),
    (HTTP_API, {"host": "www.example.com", "stage": ""}, ""),
]
IDS = [*[kind.name for kind in KINDS], "own domain", "base path", "own domain of an HTTP API"]


@pytest.mark.parametrize(("kind", "address", "prefix"), ADDRESSES, ids=IDS)
def test_every_url_includes_the_prefix(kind: Kind, address: dict[str, str], prefix: str) -> None:
    browser = Browser(kind, **address)

    page = browser.get("/accounts/login/").body.decode()
    addresses = re.findall(r'(?:href|src|action)="([^"#]+)"', page)
    allowed = (f"{prefix}/", "https://static.example.com/")

    assert f"{prefix}/" in addresses
    assert [address for address in addresses if not address.startswith(allowed)] == []
    assert browser.get("/elsewhere").headers["location"] == f"{prefix}/%C3%BCn%C3%AF/caf%C3%A9/"
    # Django's redirects that append a slash, and to the login page.
    assert browser.get("/accounts/login").headers["location"] == f"{prefix}/accounts/login/"
    assert browser.get("/products/new/").headers["location"] == (
        f"{prefix}/accounts/login/?next={prefix}/products/new/"
    )


def test_one_process_can_have_several_prefixes() -> None:
    address = {"host": "www.example.com", "stage": ""}

    locations = [
        browser.get("/elsewhere").headers["location"]
        for browser in (Browser(), Browser(REST_API, **address), Browser())
    ]

    assert [location.partition("/%C3")[0] for location in locations] == ["/prod", "", "/prod"]


# Login


@in_database
@each_kind
def test_login_sets_both_cookies_and_lasts(kind: Kind) -> None:
    User.objects.create_user("ada", password="a-password")
    browser = Browser(kind)
    page = browser.get("/accounts/login/").body.decode()
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[-1]
    form = {"csrfmiddlewaretoken": token, "username": "ada", "password": "a-password"}

    response = browser.post(
        "/accounts/login/", urlencode(form).encode(), "application/x-www-form-urlencoded"
    )

    assert (response.status, response.headers["location"]) == (302, f"{kind.prefix}/products/")
    assert sorted(cookie.partition("=")[0] for cookie in response.cookies) == [
        "csrftoken",
        "sessionid",
    ]
    assert browser.get("/products/new/").status == 200
    assert Browser(kind).get("/products/new/").status == 302


# Bodies


@each_kind
def test_file_is_uploaded_and_downloaded_unchanged(kind: Kind, media: Path) -> None:
    browser = Browser(kind)
    multipart = (
        '--line\r\nContent-Disposition: form-data; name="file"; filename="Übung.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode() + EVERY_BYTE

    sent = browser.post(
        "/upload", multipart + b"\r\n--line--\r\n", "multipart/form-data; boundary=line"
    )
    got = browser.get(f"/download/{quote(sent.body)}")

    assert (media / "Übung.bin").read_bytes() == EVERY_BYTE
    assert got.body == EVERY_BYTE
    assert got.headers["content-length"] == str(len(EVERY_BYTE))
    assert got.headers["content-disposition"] == ("attachment; filename*=utf-8''%C3%9Cbung.bin")


@each_kind
def test_stream_is_consumed_and_closed(kind: Kind) -> None:
    closed_streams.clear()

    response = Browser(kind).get("/stream")

    assert response.body.decode() == f"{TEXT}end"
    assert closed_streams == [f"{kind.prefix}/stream"]


@pytest.mark.parametrize("url_path", ["/text", "/stream"])
@each_kind
def test_gzip_middleware_response_arrives_compressed(
    kind: Kind, url_path: str, settings: Settings
) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]

    response = Browser(kind).get(url_path, headers=[("Accept-Encoding", "gzip")])

    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(response.body).decode().removesuffix("end") == TEXT


@each_kind
def test_head_request_gets_only_the_headers(kind: Kind) -> None:
    browser = Browser(kind)

    whole, head = browser.get("/text"), browser.request("HEAD", "/text")

    assert whole.body.decode() == TEXT
    assert whole.headers["content-length"] == str(len(whole.body))
    assert head == whole._replace(body=b"")


@each_kind
def test_unchanged_page_is_a_304(kind: Kind, settings: Settings) -> None:
    settings.MIDDLEWARE = [
        "django.middleware.http.ConditionalGetMiddleware",
        *settings.MIDDLEWARE,
    ]
    browser = Browser(kind)
    tag = browser.get("/text").headers["etag"]

    again = browser.get("/text", headers=[("If-None-Match", tag)])

    assert (again.status, again.headers["etag"], again.body) == (304, tag, b"")


# The end of a request


@pytest.mark.parametrize(
    ("url_path", "status"),
    [("/text", 200), ("/stream", 200), ("/nowhere", 404), ("/fail", 500), ("/elsewhere", 302)],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_request_finished_signal_is_sent_once(
    finished: list[object], method: str, url_path: str, status: int
) -> None:
    assert Browser().request(method, url_path).status == status
    assert finished == [WSGIHandler]


def test_failing_stream_finishes_its_request(finished: list[object]) -> None:
    closed_streams.clear()

    with pytest.raises(ZeroDivisionError):
        Browser().get("/stream", query=[("break", "")])

    assert (finished, closed_streams) == ([WSGIHandler], ["/prod/stream"])


@in_database
@pytest.mark.parametrize("kind", [REST_API, HTTP_API, ALB], ids=["REST API", "HTTP API", "ALB"])
def test_request_closes_its_connection(kind: Kind) -> None:
    browser = Browser(kind)

    servers = [browser.get("/query").body]
    assert connection.connection is None
    servers.append(browser.get("/query").body)

    assert connection.connection is None
    assert servers[0] != servers[1]


@in_database
def test_persistent_connection_is_reused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 60)
    browser = Browser()

    try:
        assert browser.get("/query").body == browser.get("/query").body
    finally:
        connection.close()
