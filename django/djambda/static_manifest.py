"""Fetch the manifest that maps static files to the hashed names of a release.

`collectstatic` uploads a manifest for each release. Pages need nothing else, and get it with one
HTTP request, without boto3. `djambda.aws` fetches it while Django is still importing.
"""

import json
from http import HTTPStatus
from urllib.parse import urlsplit

from djambda_common.aws_api import http_connection

TIMEOUT = 3.0
"""Seconds that a page waits for the manifest."""


class ManifestUnavailable(Exception):  # noqa: N818 (not a bug)
    """The manifest could not be read; the message has the reason and a remedy."""


def manifest_name(release: str) -> str:
    """Return the manifest's name in `static/`."""
    return f"staticfiles-{release}.json"


def fetch_manifest(url: str) -> dict[str, str]:
    """Return the hashed name of each static file, from the manifest at `url`.

    Raises `ManifestUnavailable`.
    """
    connection = http_connection(url, timeout=TIMEOUT)
    try:
        connection.send("GET", urlsplit(url).path, {"host": connection.netloc})
        response = connection.receive()
    except OSError as error:
        raise ManifestUnavailable(f"{url} could not be read: {error!r}") from error
    finally:
        connection.close()
    # S3 returns 403 for a missing key if the caller may not list the bucket.
    if response.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        raise ManifestUnavailable(
            f"{url} does not exist (HTTP status {response.status}): run the management command "
            "`collectstatic --no-input`"
        )
    if response.status != HTTPStatus.OK:
        raise ManifestUnavailable(f"{url} could not be read: HTTP status {response.status}")
    try:
        paths: dict[str, str] = json.loads(response.body)["paths"]
    except (ValueError, LookupError, TypeError) as error:
        raise ManifestUnavailable(f"{url} is not a static files manifest: {error!r}") from error
    return paths
