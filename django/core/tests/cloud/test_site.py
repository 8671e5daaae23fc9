"""The deployed sample over HTTP; `tests/cloud` has the tests of the product."""

import re
from urllib.parse import urlsplit

import httpx
from tests.cloud.local import csrf_token


def test_home_page_has_its_stylesheet(visitor: httpx.Client) -> None:
    page = visitor.get("")

    assert page.status_code == 200
    [stylesheet] = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
    assert re.search(r"/static/core/site\.[0-9a-f]{12}\.css$", stylesheet)
    assert httpx.get(stylesheet, trust_env=False).status_code == 200


def test_healthz(visitor: httpx.Client) -> None:
    assert visitor.get("healthz").json() == {"status": "ok"}


def test_notes_need_a_login(visitor: httpx.Client) -> None:
    response = visitor.get("notes/")

    assert response.status_code == 302
    assert response.headers["location"] == "/prod/accounts/login/?next=/prod/notes/"


def test_attachment_is_downloaded_from_the_bucket(admin: httpx.Client) -> None:
    content = bytes(range(256)) * 400
    form = admin.get("notes/new/")

    saved = admin.post(
        "notes/new/",
        data={"csrfmiddlewaretoken": csrf_token(form), "title": "Grüße", "body": "with a file"},
        files={"uploads": ("pläne.bin", content)},
        headers={"Origin": f"http://{admin.headers['Host']}"},
    )
    assert saved.status_code == 302, saved.text

    page = admin.get(saved.headers["location"].removeprefix("/prod/"))
    [link] = re.findall(r'href="/prod/(attachments/\d+/)"', page.text)[:1]
    redirect = admin.get(link)
    assert redirect.status_code == 302
    location = redirect.headers["location"]
    assert "X-Amz-Signature" in location
    assert "/media/" in urlsplit(location).path
    file = httpx.get(location, trust_env=False)
    assert file.content == content
    assert file.headers["content-disposition"].startswith("attachment")
