"""The deployed site over HTTP: gateway, proxy, Django, Postgres and S3 together."""

import re
from urllib.parse import urlsplit

import httpx

from tests.cloud.local import csrf_token


def test_stylesheet_comes_from_the_bucket(visitor: httpx.Client) -> None:
    page = visitor.get("")

    assert page.status_code == 200
    [stylesheet] = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
    assert re.search(r"/static/catalog/shop\.[0-9a-f]{12}\.css$", stylesheet)
    css = httpx.get(stylesheet, trust_env=False)
    assert css.status_code == 200
    assert css.headers["content-type"].startswith("text/css")
    assert "immutable" in css.headers["cache-control"]


def test_healthz_queries_the_database(visitor: httpx.Client) -> None:
    assert visitor.get("healthz").json() == {"status": "ok"}


def test_links_contain_the_stage(visitor: httpx.Client) -> None:
    response = visitor.get("products/new/")

    assert response.status_code == 302
    assert response.headers["location"] == "/prod/accounts/login/?next=/prod/products/new/"


def test_login_sets_both_cookies(admin: httpx.Client) -> None:
    assert {"csrftoken", "sessionid"} <= set(admin.cookies)
    assert admin.get("admin/").status_code == 200


def test_uploads_are_private_and_unchanged(admin: httpx.Client) -> None:
    content = bytes(range(256)) * 400
    form = admin.get("products/new/")

    saved = admin.post(
        "products/new/",
        data={"csrfmiddlewaretoken": csrf_token(form), "name": "Grüße"},
        files={"picture": ("pläne.bin", content)},
        headers={"Origin": f"http://{admin.headers['Host']}"},
    )
    assert saved.status_code == 302, saved.text

    page = admin.get(saved.headers["location"].removeprefix("/prod/")).text
    assert "Grüße" in page
    *_, picture = re.findall(r'href="([^"]+)">Picture<', page)
    *_, download = re.findall(r'href="/prod/([^"]+)">Download<', page)
    signed = picture.replace("&amp;", "&")
    assert "X-Amz-Signature" in signed
    assert "/media/pictures/" in urlsplit(signed).path
    assert httpx.get(signed, trust_env=False).content == content
    assert admin.get(download).content == content


def test_unknown_page_is_djangos_404(visitor: httpx.Client) -> None:
    response = visitor.get("no-such-page/")

    assert response.status_code == 404
    assert "text/html" in response.headers["content-type"]


def test_form_without_a_token_is_refused(admin: httpx.Client) -> None:
    assert admin.post("products/new/", data={"name": "forged"}).status_code == 403


def test_upload_larger_than_a_lambda_payload_gets_413(admin: httpx.Client) -> None:
    response = admin.post("products/new/", files={"picture": ("big.bin", b"x" * 7_000_000)})

    assert response.status_code == 413
    assert "4.4 MB" in response.text
