"""Signed URLs: S3's signature, stable for half of their lifetime."""

import datetime
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from djambda.signed_urls import encoded_key, signed_url

BUCKET = "https://bucket.s3.dualstack.eu-west-1.amazonaws.com"
MIDDAY = int(datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC).timestamp())

type SetClock = Callable[[float], None]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the/secret+key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a/session+token==")


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    def set_to(seconds: float) -> None:
        monkeypatch.setattr("djambda.signed_urls.time.time", lambda: seconds)

    return set_to


def botocore_signature(url: str, method: str, token: str | None, expire: int) -> str:
    """Return the signature that botocore computes for the same time."""
    parts = urlsplit(url)
    query = {name: value for name, [value] in parse_qs(parts.query).items()}
    extra = {name: value for name, value in query.items() if not name.startswith("X-Amz-")}
    request = AWSRequest(
        method, f"{parts.scheme}://{parts.netloc}{parts.path}", params=extra, headers={}
    )
    signer: Any = S3SigV4QueryAuth(
        Credentials("ASIAEXAMPLE", "the/secret+key", token), "s3", "eu-west-1", expires=expire
    )
    request.context["timestamp"] = query["X-Amz-Date"]
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    return str(signer.signature(signer.string_to_sign(request, canonical), request))


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "key",
    [
        "media/a.txt",
        "media/a b+c%20d%2F?e#f&g=h;i.txt",
        "media/grün/gru\u0308n/🐘~_-.!'()*.bin",
        "media/folder/",
    ],
)
def test_signature_is_botocores(
    monkeypatch: pytest.MonkeyPatch, token: str | None, method: str, key: str
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", token or "")
    parameters = {"response-content-disposition": 'attachment; filename="ü +%&.txt"'}

    url = signed_url(
        f"{BUCKET}/{encoded_key(key)}", method=method, expire=600, parameters=parameters
    )

    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Signature"] == [botocore_signature(url, method, token, 600)]
    assert query["X-Amz-Expires"] == ["600"]
    assert query.get("X-Amz-Security-Token", [None]) == [token]
    assert query["response-content-disposition"] == list(parameters.values())


@pytest.mark.parametrize("expire", [1, 2, 3, 60, 3600, 7 * 24 * 3600])
def test_url_is_the_same_for_half_of_its_lifetime(set_clock: SetClock, expire: int) -> None:
    def url_at(seconds: float) -> str:
        set_clock(seconds)
        return signed_url(f"{BUCKET}/media/a.txt", expire=expire)

    start = MIDDAY - MIDDAY % max(1, expire // 2)
    end = start + max(1, expire // 2)

    assert url_at(start) == url_at(end - 0.5)
    assert url_at(start) != url_at(end)
    for moment in (start, end - 0.5, end):
        signed_at = datetime.datetime.strptime(
            parse_qs(urlsplit(url_at(moment)).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z"
        )
        remaining = signed_at.timestamp() + expire - moment
        assert expire / 2 <= remaining <= expire


def test_url_changes_with_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def url() -> str:
        return signed_url(f"{BUCKET}/media/a.txt", expire=7 * 24 * 3600)

    before = url()
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    with_another_token = url()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with_another_secret = url()

    assert len({before, with_another_token, with_another_secret}) == 3


@pytest.mark.parametrize("expire", [0, -1, 7 * 24 * 3600 + 1])
def test_expiry_that_s3_does_not_accept(expire: int) -> None:
    with pytest.raises(ValueError, match="AWS_QUERYSTRING_EXPIRE"):
        signed_url(f"{BUCKET}/media/a.txt", expire=expire)
