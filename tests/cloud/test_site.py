"""The deployed site over real HTTP: gateway, front door, Django, Postgres and S3 together."""

import re
from urllib.parse import urlsplit

import httpx


def test_home_page_has_its_styles_from_the_bucket(visitor: httpx.Client) -> None:
    page = visitor.get("")

    assert page.status_code == 200
    [stylesheet] = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
    assert re.search(r"/static/core/site\.[0-9a-f]{12}\.css$", stylesheet)
    css = httpx.get(stylesheet, trust_env=False)
    assert css.status_code == 200
    assert css.headers["content-type"].startswith("text/css")
    assert "immutable" in css.headers["cache-control"]


def test_healthz_sees_the_database(visitor: httpx.Client) -> None:
    assert visitor.get("healthz").json() == {"status": "ok"}


def test_links_carry_the_stage(visitor: httpx.Client) -> None:
    answer = visitor.get("notes/")

    assert answer.status_code == 302
    assert answer.headers["location"] == "/prod/accounts/login/?next=/prod/notes/"


def test_log_in_sets_both_cookies(admin: httpx.Client) -> None:
    assert {"csrftoken", "sessionid"} <= set(admin.cookies)
    assert admin.get("admin/").status_code == 200


def test_note_with_an_attachment_comes_back_byte_for_byte(admin: httpx.Client) -> None:
    form = admin.get("notes/new/")
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)[:1]
    content = bytes(range(256)) * 400

    saved = admin.post(
        "notes/new/",
        data={"csrfmiddlewaretoken": token, "title": "Grüße", "body": "with a file"},
        files={"uploads": ("pläne.bin", content)},
        headers={"Origin": f"http://{admin.headers['Host']}"},
    )
    assert saved.status_code == 302, saved.text

    page = admin.get(saved.headers["location"].removeprefix("/prod/"))
    [link] = re.findall(r'href="/prod/(attachments/\d+/)"', page.text)[:1]
    redirect = admin.get(link)
    assert redirect.status_code == 302
    file = httpx.get(redirect.headers["location"], trust_env=False)
    assert file.content == content
    assert file.headers["content-disposition"].startswith("attachment")

    unsigned = urlsplit(redirect.headers["location"])._replace(query="").geturl()
    assert "X-Amz-Signature" in redirect.headers["location"]
    assert "/media/" in unsigned


def test_unknown_page_is_djangos_404(visitor: httpx.Client) -> None:
    answer = visitor.get("no-such-page/")

    assert answer.status_code == 404
    assert "text/html" in answer.headers["content-type"]


def test_form_without_a_token_is_refused(admin: httpx.Client) -> None:

    assert admin.post("notes/new/", data={"title": "forged"}).status_code == 403


def test_upload_beyond_lambdas_payload_says_so(admin: httpx.Client) -> None:

    answer = admin.post("notes/new/", files={"uploads": ("big.bin", b"x" * 7_000_000)})

    assert answer.status_code == 413
    assert "6 MB" in answer.text
