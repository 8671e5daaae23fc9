"""Sign URLs of S3 objects without boto3, which takes longer to import than a page to render.

A URL stays the same for half of its lifetime, so that browsers and caches can use a file that they
have: the time in it is rounded down. So its remaining lifetime is between half of `expire` and
`expire`. Processes with the same credentials sign the same URL at the same time.

The credentials of a function are temporary and differ between its instances. A URL is valid no
longer than the credentials that signed it.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from djambda_common.aws_signature import encoded, signature

MAX_SECONDS = 7 * 24 * 60 * 60
"""https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html"""


def signed_url(
    url: str, *, method: str = "GET", expire: int, parameters: Mapping[str, str] | None = None
) -> str:
    """Return `url`, which has no query string, with a signature for `method`.

    `parameters` are added to the query string. Raises `ValueError` if S3 does not accept `expire`.
    """
    check_expiry(expire)
    now = int(time.time())
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now - now % max(1, expire // 2)))
    scope = f"{timestamp[:8]}/{os.environ['AWS_REGION']}/s3/aws4_request"
    query = {
        **(parameters or {}),
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}",
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(expire),
        "X-Amz-SignedHeaders": "host",
    }
    if token := os.environ.get("AWS_SESSION_TOKEN"):
        query["X-Amz-Security-Token"] = token
    canonical_query = "&".join(f"{encoded(name)}={encoded(query[name])}" for name in sorted(query))
    parts = urlsplit(url)
    request = "\n".join(
        [
            method,
            parts.path,
            canonical_query,
            f"host:{parts.netloc}",
            "",
            "host",
            "UNSIGNED-PAYLOAD",
        ]
    )
    digest = hashlib.sha256(request.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}"
    return f"{url}?{canonical_query}&X-Amz-Signature={signature(scope, to_sign)}"


def check_expiry(seconds: int) -> None:
    """Raise `ValueError` unless S3 accepts a signature for so many seconds."""
    if not 1 <= seconds <= MAX_SECONDS:
        raise ValueError(
            f"A signed URL cannot be valid for {seconds} seconds: S3 accepts 1 to {MAX_SECONDS} "
            "(7 days). Set AWS_QUERYSTRING_EXPIRE, or make the files public."
        )


def encoded_key(key: str) -> str:
    """Percent-encode an object's key as the path of its URL."""
    return "/".join(map(encoded, key.split("/")))
