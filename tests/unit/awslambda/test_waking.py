"""What visitors see while the site wakes up, and how they send their data again."""

import base64
import html
import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

import invocation
import proxy
import waking
from djambda_common.names import ERROR_HEADER
from proxy import lambda_handler
from tests.support.fake_aws import (
    FakeAws,
    FakeContext,
    fails,
    function_fails,
    hangs_up,
    keeps_silent,
    lambda_environment,
    responds,
)
from tests.unit.awslambda.test_proxy import FUNCTION, HELLO

BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Host": "api.example"}
WAKING = responds(
    {"statusCode": 503, "multiValueHeaders": {ERROR_HEADER: ["waking_up 1"]}, "body": ""}
)

UNFINISHED = responds(
    {"statusCode": 504, "multiValueHeaders": {ERROR_HEADER: ["unfinished 1"]}, "body": ""}
)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setenv("FUNCTION_NAME", FUNCTION)
        monkeypatch.setattr(invocation, "PAUSE_WHEN_NOT_READY", 0.01)
        monkeypatch.setattr(waking, "_last_response", float("-inf"))
        yield fake


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "PATIENCE", 0.3)
    monkeypatch.setattr(proxy, "LEAST_SECONDS", 0.1)
    monkeypatch.setattr(invocation, "LEAST_SECONDS", 0.1)


def request(
    method: str = "GET", *, waited: float | None = None, **event: Any
) -> tuple[dict[str, Any], float]:
    """Return the response to a request, and the seconds that it took.

    `waited` are the seconds since the visitor's first attempt.
    """
    headers = {**BROWSER, **event.pop("headers", {})}
    if waited is not None:
        headers["Cookie"] = f"other=1; djambda-waking={time.time() - waited:.0f}"
    complete: Any = {
        "httpMethod": method,
        "path": "/notes/",
        "headers": headers,
        "queryStringParameters": None,
        "requestContext": {"requestId": "gateway-request"},
        **event,
    }
    started = time.monotonic()
    response: Any = lambda_handler(complete, FakeContext(29))
    return response, time.monotonic() - started


def refresh(response: dict[str, Any]) -> str:
    """Return the seconds after which the page reloads, "" if it does not."""
    match = re.search(r'<meta http-equiv="refresh" content="(\d+)">', response["body"])
    return match[1] if match else ""


@pytest.mark.usefixtures("in_a_hurry")
class TestNewVisitor:
    @pytest.mark.parametrize(
        "replies",
        [
            [WAKING],
            [keeps_silent],
            [fails("ResourceNotReadyException", 502)] * 100,
            [fails("ResourceConflictException", 409)] * 100,
            [function_fails("DatabaseAsleep", "the project's start needs the database")] * 100,
        ],
        ids=["database", "cold start", "inactive", "pending", "start"],
    )
    def test_gets_a_page_that_reloads(self, replies: list[Any], aws: FakeAws) -> None:
        aws.will(*replies)
        response, seconds = request()
        assert seconds < 3
        assert response["statusCode"] == 503
        assert int(response["headers"]["Retry-After"]) > 0
        assert response["headers"]["Cache-Control"] == "no-store"
        assert refresh(response) == "2"
        assert "<title>Waking up</title>" in response["body"]
        assert "<script" not in response["body"]

    @pytest.mark.parametrize(
        ("event", "address"),
        [
            ({"requestContext": {"path": "/prod/notes/"}}, "./"),
            ({"requestContext": {"path": "/prod"}}, "./prod"),
            ({"requestContext": {"path": "/caf%C3%A9:1"}}, "./caf%C3%A9:1"),
            ({"requestContext": {"path": "//other.example"}}, "./other.example"),
            ({"requestContext": {"path": '/"><script>'}}, "./&quot;&gt;&lt;script&gt;"),
            (
                {
                    "requestContext": {"path": "/notes"},
                    "multiValueQueryStringParameters": {"tag": ["a&b", "ü"], "page": ["1"]},
                },
                "./notes?tag=a%26b&amp;tag=%C3%BC&amp;page=1",
            ),
            (
                {"requestContext": {"path": "/n"}, "queryStringParameters": {"q": "\ud83d"}},
                "./n?q=%3F",
            ),
        ],
    )
    def test_page_reloads_without_the_fragment(
        self, event: dict[str, Any], address: str, aws: FakeAws
    ) -> None:
        aws.will(WAKING)
        page = request(**event)[0]["body"]
        assert f'<meta http-equiv="refresh" content="2; url={address}">' in page

    def test_is_not_an_error_in_the_log(
        self, aws: FakeAws, capsys: pytest.CaptureFixture[str]
    ) -> None:
        aws.will(WAKING)
        request()
        assert json.loads(capsys.readouterr().out)["level"] == "INFO"

    def test_of_an_awake_site_waits(self, aws: FakeAws) -> None:
        aws.will(responds(HELLO), WAKING, keeps_silent)
        request()
        assert not waking.is_new_visit({"httpMethod": "GET", "headers": BROWSER})  # type: ignore[typeddict-item]
        assert refresh(request()[0]) == "2"  # The database may sleep all the same.

    def test_sees_a_page_soon_in_a_second_tab(self, aws: FakeAws) -> None:
        aws.will(keeps_silent)
        own = {"Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}
        response, seconds = request(waited=4, headers=own)
        assert seconds < 3
        assert refresh(response) == "2"

    def test_broken_connection_is_an_error(self, aws: FakeAws) -> None:
        aws.will(hangs_up)
        assert request()[0]["statusCode"] == 504

    def test_crawler_gets_the_same(self, aws: FakeAws) -> None:
        aws.will(WAKING)
        bot = {"Accept": "text/html,*/*", "Sec-Fetch-Mode": "", "User-Agent": "Googlebot/2.1"}
        response, _ = request(headers=bot)
        assert response["statusCode"] == 503
        assert response["headers"]["Retry-After"] == "10"

    def test_head_has_no_body(self, aws: FakeAws) -> None:
        aws.will(WAKING)
        response, _ = request("HEAD")
        assert (response["statusCode"], response["body"]) == (503, "")


@pytest.mark.usefixtures("in_a_hurry")
class TestApiClient:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Accept": "application/json", "Sec-Fetch-Mode": "cors"},
            {"Accept": "text/html", "Sec-Fetch-Mode": "cors"},
            {"Accept": "*/*", "Sec-Fetch-Mode": ""},
            {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
            {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "object"},
        ],
    )
    def test_waits(
        self, headers: dict[str, str], aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(proxy, "GATEWAY_SECONDS", 1.0)
        aws.will(keeps_silent)
        response, seconds = request(headers=headers)
        assert seconds >= 0.9
        assert response["statusCode"] == 504

    def test_gets_json(self, aws: FakeAws) -> None:
        aws.will(WAKING)
        response, _ = request(headers={"Accept": "application/json", "Sec-Fetch-Mode": "cors"})
        assert response["statusCode"] == 503
        assert response["headers"]["Retry-After"] == "10"
        assert json.loads(response["body"])["error"] == "waking_up"
        assert "Set-Cookie" not in response["headers"]


class TestReload:
    def test_waits_longer(self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proxy, "PATIENCE", 0.3)
        monkeypatch.setattr(proxy, "GATEWAY_SECONDS", 1.5)
        aws.will(keeps_silent)
        response, seconds = request(waited=4)
        assert seconds >= 1.4
        assert response["statusCode"] == 504

    def test_keeps_the_time_of_the_first_attempt(self, aws: FakeAws) -> None:
        aws.will(WAKING)
        response, _ = request(waited=40)
        began, _, attributes = response["headers"]["Set-Cookie"].partition("; ")
        assert 39 <= time.time() - int(began.removeprefix("djambda-waking=")) <= 42
        assert attributes == "Max-Age=90; Path=/; HttpOnly; SameSite=Lax"

    def test_cookie_is_for_https_if_the_site_is(self, aws: FakeAws) -> None:
        aws.will(WAKING)
        response, _ = request(headers={"X-Forwarded-Proto": "https"})
        assert response["headers"]["Set-Cookie"].endswith("; Secure")

    def test_explains_after_two_minutes(self, aws: FakeAws) -> None:
        aws.will(WAKING)
        response, _ = request(waited=121)
        assert "longer than usual" in response["body"]
        assert "djambda status" in response["body"]
        assert refresh(response) == "30"

    def test_ends_after_a_quarter_of_an_hour(self, aws: FakeAws) -> None:
        aws.will(WAKING)
        response, _ = request(waited=901)
        assert refresh(response) == ""
        assert "Try again" in response["body"]
        assert "Max-Age=0" in response["headers"]["Set-Cookie"]

    @pytest.mark.parametrize(
        ("waited", "level"), [(4, "INFO"), (119, "INFO"), (122, "ERROR"), (902, "ERROR")]
    )
    @pytest.mark.parametrize("reply", [WAKING, fails("TooManyRequestsException", 429)])
    def test_is_an_error_in_the_log_after_two_minutes(
        self, waited: int, level: str, reply: Any, aws: FakeAws, capsys: pytest.CaptureFixture[str]
    ) -> None:
        aws.will(reply)
        request(waited=waited)
        assert json.loads(capsys.readouterr().out)["level"] == level

    def test_busy_site_is_waking_up(self, aws: FakeAws) -> None:
        aws.will(*[fails("TooManyRequestsException", 429)] * 2)
        assert refresh(request(waited=5)[0]) == "2"
        assert "The site is busy" in request()[0]["body"]

    @pytest.mark.parametrize("value", ["", "x", "-5", "9" * 30, "²", "0", "99999999999"])
    def test_invalid_cookie_is_ignored(self, value: str, aws: FakeAws) -> None:
        aws.will(WAKING)
        response, _ = request(headers={"Cookie": f"djambda-waking={value}"})
        assert refresh(response) == "2"


class Form(HTMLParser):
    """The form in a page: its attributes and its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: dict[str, str | None] = {}
        self.fields: list[tuple[str | None, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "form":
            self.attributes = dict(attributes)
        if tag == "input":
            found = dict(attributes)
            assert found["type"] == "hidden"
            self.fields.append((found["name"], found["value"]))


FIELDS = [
    ("csrfmiddlewaretoken", "abc123"),
    ("text", 'two\r\nlines, "quoted" & <b>Grüße</b> \U0001f600'),
    ("tag", "one"),
    ("tag", "two"),
    ("empty", ""),
]
URLENCODED = "application/x-www-form-urlencoded"


def post(body: str | bytes, content_type: str = URLENCODED, **headers: str) -> dict[str, Any]:
    sent = {"Content-Type": content_type, "Sec-Fetch-Site": "same-origin", **headers}
    content = body if isinstance(body, str) else base64.b64encode(body).decode()
    response, _ = request(
        "POST", headers=sent, body=content, isBase64Encoded=isinstance(body, bytes)
    )
    return response


def multipart(*parts: tuple[str, str]) -> bytes:
    """Return a body with parts: (parameters of its Content-Disposition, content)."""
    return (
        b"".join(
            f"--xyz\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{content}\r\n".encode()
            for parameters, content in parts
        )
        + b"--xyz--\r\n"
    )


MULTIPART = "multipart/form-data; boundary=xyz"


class TestSubmittedForm:
    @pytest.mark.parametrize("body", [urlencode(FIELDS), urlencode(FIELDS).encode()])
    @pytest.mark.parametrize("reply", [WAKING, fails("TooManyRequestsException", 429)])
    def test_can_be_sent_again(self, body: str | bytes, reply: Any, aws: FakeAws) -> None:
        aws.will(reply)
        response = post(body)
        assert response["statusCode"] == 503
        assert "was not processed" in response["body"]
        assert refresh(response) == ""
        form = Form(response["body"])
        assert form.attributes == {"method": "post", "enctype": URLENCODED}
        assert form.fields == FIELDS

    def test_waits_for_the_database(self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proxy, "PATIENCE", 0.1)
        aws.will(*[function_fails("DatabaseAsleep", "")] * 5, responds(HELLO))
        assert post(urlencode(FIELDS)) == HELLO

    def test_with_parts_can_be_sent_again(self, aws: FakeAws) -> None:
        aws.will(WAKING)
        body = multipart(('name="text"', "Grüße\r\nan alle"), ('name="file"; filename=""', ""))
        form = Form(post(body, MULTIPART)["body"])
        assert form.attributes == {"method": "post", "enctype": "multipart/form-data"}
        assert form.fields == [("text", "Grüße\r\nan alle")]

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (multipart(('name="file"; filename="a.txt"', "content-of-it")), MULTIPART),
            (urlencode({"username": "ada", "password": "content-of-it"}), URLENCODED),
            (urlencode({"text": "content-of-it" * 100_000}), URLENCODED),
            (b"text=%FFcontent-of-it", URLENCODED),
        ],
        ids=["file", "password", "long", "not UTF-8"],
    )
    def test_is_sent_again_by_reloading(
        self, body: str | bytes, content_type: str, aws: FakeAws
    ) -> None:
        aws.will(WAKING)
        page = post(body, content_type)["body"]
        assert "reload this page" in page
        assert "content-of-it" not in page

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "", "Origin": "https://other.example"},
            {"Sec-Fetch-Site": "", "Origin": "null"},
        ],
    )
    def test_of_another_site_is_not_repeated(self, headers: dict[str, str], aws: FakeAws) -> None:
        aws.will(WAKING)
        page = post(urlencode(FIELDS), **headers)["body"]
        assert "<form" not in page
        assert "reload this page" not in page

    @pytest.mark.parametrize("reply", [hangs_up, UNFINISHED])
    def test_with_an_unknown_outcome_is_not_repeated(self, reply: Any, aws: FakeAws) -> None:
        aws.will(reply)
        page = post(urlencode(FIELDS))["body"]
        assert "<form" not in page
        assert "may have been processed" in page

    @pytest.mark.parametrize("name", ['"><script>', "a\nb"])
    def test_names_are_escaped(self, name: str, aws: FakeAws) -> None:
        aws.will(WAKING)
        page = post(urlencode({name: "1"}))["body"]
        assert "<script" not in page
        assert html.escape(name) in page
