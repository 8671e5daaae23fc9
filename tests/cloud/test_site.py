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


def add_product(
    admin: httpx.Client, name: str, **files: tuple[str, bytes] | tuple[str, bytes, str]
) -> str:
    """Add a product with the form; return the page with all products."""
    saved = admin.post(
        "products/new/",
        data={"csrfmiddlewaretoken": csrf_token(admin.get("products/new/")), "name": name},
        files=files,
        headers={"Origin": f"http://{admin.headers['Host']}"},
    )
    assert saved.status_code == 302, saved.text
    return admin.get(saved.headers["location"].removeprefix("/prod/")).text


def test_uploads_are_private_and_unchanged(admin: httpx.Client) -> None:
    content = bytes(range(256)) * 400

    page = add_product(admin, "Grüße", picture=("pläne.bin", content))

    assert "Grüße" in page
    *_, picture = re.findall(r'href="([^"]+)">Picture<', page)
    *_, download = re.findall(r'href="/prod/([^"]+)">Download<', page)
    signed = picture.replace("&amp;", "&")
    assert "X-Amz-Signature" in signed
    assert "/media/pictures/" in urlsplit(signed).path
    assert httpx.get(signed, trust_env=False).content == content
    assert httpx.get(signed.partition("?")[0], trust_env=False).status_code == 403
    assert admin.get(download).content == content


def test_public_uploads_need_no_signature(admin: httpx.Client) -> None:
    content = bytes(range(256)) * 400

    page = add_product(admin, "Public", photo=("größe +1%.png", content, "image/png"))

    *_, photo = re.findall(r'<img src="([^"]+)"', page)
    response = httpx.get(photo, headers={"Origin": "https://other.example"}, trust_env=False)
    assert "/public/photos/" in photo
    assert "?" not in photo
    assert response.content == content
    assert response.headers["content-type"] == "image/png"
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert response.headers["access-control-allow-origin"] == "*"
    part = httpx.get(photo, headers={"Range": "bytes=256-511"}, trust_env=False)
    assert part.status_code == 206
    assert part.content == content[256:512]
    private = photo.replace("/public/", "/media/")
    assert httpx.get(private, trust_env=False).status_code == 403


def test_signed_urls_stay_the_same(admin: httpx.Client) -> None:
    def signed_urls() -> list[str]:
        return re.findall(r'href="([^"]+X-Amz-Signature[^"]+)"', admin.get("products/").text)

    add_product(admin, "Stable", picture=("a.bin", b"x"))

    first, second, third = signed_urls(), signed_urls(), signed_urls()
    assert first
    assert second in (first, third)  # A new period may begin between two pages.


def test_unknown_page_is_djangos_404(visitor: httpx.Client) -> None:
    response = visitor.get("no-such-page/")

    assert response.status_code == 404
    assert "text/html" in response.headers["content-type"]


def test_headers_are_renamed_as_by_api_gateway(visitor: httpx.Client) -> None:
    response = visitor.get("challenge/")

    assert response.status_code == 401
    assert response.headers["x-amzn-remapped-www-authenticate"] == 'Basic realm="shop"'
    assert "www-authenticate" not in response.headers


def test_form_without_a_token_is_refused(admin: httpx.Client) -> None:
    assert admin.post("products/new/", data={"name": "forged"}).status_code == 403


def test_upload_larger_than_a_lambda_payload_gets_413(admin: httpx.Client) -> None:
    """The request does not even fit into the event for the proxy: API Gateway itself responds."""
    response = admin.post("products/new/", files={"picture": ("big.bin", b"x" * 7_000_000)})

    assert response.status_code == 413
    assert response.json() == {"message": "Request Too Long"}
