"""The names under which a release published its static files.

`collectstatic` uploads a manifest for each release; pages only need that, and get it with one plain
HTTP request, without boto3. `djambda.aws` has it fetched while Django is still importing.
"""

import http.client
import json
from http import HTTPStatus
from urllib.parse import urlsplit

from djambda_common.aws_api import http_connection

TIMEOUT = 3.0
"""Seconds that a page waits for the manifest."""


class ManifestUnavailable(Exception):  # noqa: N818 (it is no bug of anybody)
    """The manifest was not read; the message says why, and what to do."""


def manifest_name(release: str) -> str:
    """The file in `static/` that names the others."""
    return f"staticfiles-{release}.json"


def fetch_manifest(url: str) -> dict[str, str]:
    """The hashed name of each static file, from the manifest that `collectstatic` uploaded.

    Raises `ManifestUnavailable`.
    """
    connection = http_connection(url, timeout=TIMEOUT)
    try:
        connection.request("GET", urlsplit(url).path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ManifestUnavailable(f"{url} could not be read: {error!r}") from error
    finally:
        connection.close()
    # S3 answers 403 where a key does not exist, to those who may not list the bucket.
    if answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        raise ManifestUnavailable(
            f"{url} does not exist (HTTP status {answer.status}): run the management command "
            "`collectstatic --no-input`"
        )
    if answer.status != HTTPStatus.OK:
        raise ManifestUnavailable(f"{url} could not be read: HTTP status {answer.status}")
    try:
        paths: dict[str, str] = json.loads(body)["paths"]
    except (ValueError, LookupError, TypeError) as error:
        raise ManifestUnavailable(f"{url} is not a manifest of Django: {error!r}") from error
    return paths
