"""Requests that the proxy answers itself, so that they do not wake the site."""

from collections.abc import Iterator
from typing import Any

import pytest

from awscdk.readers import patterns
from awscdk.variables import BLOCKED_PATHS
from proxy import lambda_handler
from tests.support.fake_aws import FakeAws, FakeContext, lambda_environment, responds
from tests.unit.awslambda.test_proxy import FUNCTION, HELLO, make_event


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setenv("FUNCTION_NAME", FUNCTION)
        monkeypatch.setenv("BLOCKED_PATHS", BLOCKED_PATHS)
        yield fake


def get(path: Any, **event: Any) -> Any:
    return lambda_handler(make_event(path=path, **event), FakeContext())


@pytest.mark.parametrize(
    "path",
    [
        *("/wp-login.php", "/blog/xmlrpc.PHP", "/wp-admin/", "/WP-content/x.css"),
        *("/.env", "/.env.local", "/app/.env", "/.git/config", "/a/.git/HEAD", "/.aws/credentials"),
        *("/cgi-bin/luci", "/default.aspx", "/shell.jsp"),
        *("/%2eenv", "/%2E%65nv", "/wp-login%2Ephp", "/app%2F.git%2fconfig"),
    ],
)
def test_scanner_gets_a_404(path: str, aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    response = get(path)
    assert response["statusCode"] == 404
    assert response["headers"]["Cache-Control"] == "no-store"
    assert aws.connections == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/notes/",
            "/.well-known/security.txt",
            "/php/",
            "/notes.php/edit/",
            "/environment/",
        ),
        *("/caf%C3%A9/", "/caf%E9/", "/café/", "/a%20b", "/admin/wp-1/", "x", "", "/" + "a" * 1999),
    ],
)
def test_visitor_reaches_django(path: str, aws: FakeAws) -> None:
    aws.will(responds(HELLO))
    assert get(path) == HELLO


@pytest.mark.parametrize("path", ["/a%00b", "/a\0b", "/a%0D%0Ab", "/a\nb", "/%zz", "/100%", "/%7F"])
def test_malformed_path_is_rejected(path: str, aws: FakeAws) -> None:
    assert get(path)["statusCode"] == 400
    assert aws.connections == 0


def test_over_long_path_is_rejected(aws: FakeAws) -> None:
    assert get("/" + "a" * 2000)["statusCode"] == 414
    assert aws.connections == 0


@pytest.mark.parametrize("path", [None, 7, ["x"]])
def test_missing_path_reaches_django(path: Any, aws: FakeAws) -> None:
    aws.will(responds(HELLO))
    assert get(path) == HELLO


@pytest.mark.parametrize(
    ("setting", "blocked", "allowed"),
    [
        ("/old/*", ["/old/", "/old/x", "/OLD/x"], ["/old", "/x/old/", "/wp-login.php"]),
        ("*.php", ["/x.php"], ["/x.php5", "/x.phpx/"]),
        ("*/admin/*", ["/admin/", "/x/admin/y"], ["/admin"]),
        ("/exact", ["/exact"], ["/exact/", "/x/exact"]),
        ("none", [], ["/wp-login.php"]),
    ],
)
def test_patterns_are_configurable(
    setting: str,
    blocked: list[str],
    allowed: list[str],
    aws: FakeAws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BLOCKED_PATHS", ",".join(patterns(setting)))
    for path in blocked:
        assert get(path)["statusCode"] == 404
    aws.will(*[responds(HELLO)] * len(allowed))
    for path in allowed:
        assert get(path) == HELLO


def test_head_has_no_body(aws: FakeAws) -> None:
    response = get("/.env", method="HEAD")
    assert (response["statusCode"], response["body"]) == (404, "")


@pytest.mark.parametrize(
    "text", ["*", "**", "/", "/*", "php", "a*b", "/a*b", "/x y", "/ab,", "/é*b"]
)
def test_pattern_that_blocks_too_much_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\*\.php"):
        patterns(text)
