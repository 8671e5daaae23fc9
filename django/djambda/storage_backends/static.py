"""Static files: `static/` in the assets bucket, public, under names with a hash of the content.

`collectstatic` prepares them in a temporary folder, as Django does on a disk, and uploads the files
that the bucket lacks, the manifest last. So no file that a running version needs is ever deleted or
missing, and one listing replaces hundreds of requests.
"""

import hashlib
import json
import logging
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage

from djambda.static_manifest import ManifestUnavailable
from djambda.storage_backends.content_types import content_type_of
from djambda_common.names import STATIC_PREFIX as PREFIX

logger = logging.getLogger(__name__)

HASHED = "public, max-age=31536000, immutable"
UNHASHED = "public, max-age=3600"

RETRY_SECONDS = 10.0
"""Seconds before pages try again to fetch a manifest that was unavailable."""

UPLOADS_AT_A_TIME = 10
"""The number of connections that botocore keeps open."""


class StaticStorage(ManifestStaticFilesStorage):
    """The public files of one release.

    Each release has its own manifest, so that the live version keeps its hashed names until the new
    one is live. `collectstatic` writes it as `manifest_name`; `manifest()` returns its paths. If
    that raises `ManifestUnavailable`, it is logged, and pages link to the unhashed files.
    """

    def __init__(
        self, bucket: str, manifest_name: str, manifest: Callable[[], dict[str, str]]
    ) -> None:
        self.bucket = bucket
        self.manifest_name = manifest_name
        self._manifest = manifest
        self._retry_at = 0.0
        folder = f"static-for-{bucket}-{secrets.token_hex(4)}"
        super().__init__(location=Path(tempfile.gettempdir(), folder))

    def read_manifest(self) -> str:
        """Return an empty manifest: Django reads it before `collectstatic` writes it."""
        return json.dumps({"version": self.manifest_version})

    def stored_name(self, name: str) -> str:
        if not self.hashed_files and time.monotonic() >= self._retry_at:
            try:
                self.hashed_files = self._manifest()
            except ManifestUnavailable:
                logger.exception("Pages link to unhashed static files")
                self._retry_at = time.monotonic() + RETRY_SECONDS
        return super().stored_name(name) if self.hashed_files else name

    def hashed_name(self, name: str, content: Any = None, filename: str | None = None) -> str:
        """Return the name with a hash, or that of a missing source map, which no page needs."""
        path = (filename or name).strip()  # In a comment of CSS, a space ends the name.
        if content is None and path.endswith(".map") and not self.exists(path):
            return name
        return super().hashed_name(name, content, filename)

    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[Any]:
        """Give the files their hashed names, as Django does, and upload them.

        `collectstatic --no-post-process` does not call this, and so uploads nothing.
        """
        yield from super().post_process(paths, dry_run=dry_run, **options)
        if not dry_run:
            report = self._upload()
            shutil.rmtree(self.location)
            sys.stdout.write(f"\n{report}\n")

    def _upload(self) -> str:
        from storages.backends.s3 import S3Storage  # noqa: PLC0415 (imports boto3)

        s3 = S3Storage(bucket_name=self.bucket).connection.meta.client  # type: ignore[no-untyped-call]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=PREFIX)
        present = {
            entry["Key"]: entry["ETag"] for page in pages for entry in page.get("Contents", ())
        }
        hashed = set(self.hashed_files.values())

        def upload(name: str) -> bool:
            content = Path(self.location, name).read_bytes()
            # S3's ETag of an object that was uploaded in one part is its MD5.
            # https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
            etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
            if present.get(PREFIX + name) == etag:
                return False
            s3.put_object(
                Bucket=self.bucket,
                Key=PREFIX + name,
                Body=content,
                CacheControl=HASHED if name in hashed else UNHASHED,
                ContentType=content_type_of(name),
            )
            return True

        root = Path(self.location)
        names = [str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()]
        names.remove(self.manifest_name)
        with ThreadPoolExecutor(UPLOADS_AT_A_TIME) as pool:
            uploaded = sum(pool.map(upload, names))
        uploaded += upload(self.manifest_name)
        unchanged = len(names) + 1 - uploaded
        return f"{uploaded} files uploaded to s3://{self.bucket}/{PREFIX}, {unchanged} unchanged."
