"""Static files: `static/` in the assets bucket, public, under names with a hash of the content.

`collectstatic` prepares them in a temporary folder, exactly as Django does on a disk; then what the
bucket lacks is uploaded, the manifest last. So nothing that a running version needs is ever deleted
or missing for a moment, and one listing replaces hundreds of questions.
"""

import hashlib
import json
import logging
import mimetypes
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

logger = logging.getLogger(__name__)

PREFIX = "static/"
HASHED = "public, max-age=31536000, immutable"
UNHASHED = "public, max-age=3600"

RETRY_SECONDS = 10.0
"""How long pages do without a manifest that was not there, before one asks again."""

UPLOADS_AT_A_TIME = 10
"""As many connections as botocore keeps open."""


class StaticStorage(ManifestStaticFilesStorage):
    """The public files of one release.

    It has a manifest of its own, so that a version that is still serving keeps the hashes it was
    published with: `manifest_name` is what `collectstatic` writes, `manifest()` the paths that it
    wrote. Where that raises `ManifestUnavailable`, the log says so, and pages link to the unhashed
    files.
    """

    def __init__(
        self, bucket: str, manifest_name: str, manifest: Callable[[], dict[str, str]]
    ) -> None:
        self.bucket = bucket
        self.manifest_name = manifest_name
        self._manifest = manifest
        self._ask_again_at = 0.0
        folder = f"on-the-way-to-{bucket}-{secrets.token_hex(4)}"
        super().__init__(location=Path(tempfile.gettempdir(), folder))

    def read_manifest(self) -> str:
        """An empty one: Django asks early, also for `collectstatic`, which is about to write it."""
        return json.dumps({"version": self.manifest_version})

    def stored_name(self, name: str) -> str:
        if not self.hashed_files and time.monotonic() >= self._ask_again_at:
            try:
                self.hashed_files = self._manifest()
            except ManifestUnavailable:
                logger.exception("Pages link to unhashed static files")
                self._ask_again_at = time.monotonic() + RETRY_SECONDS
        return super().stored_name(name) if self.hashed_files else name

    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[Any]:
        """Django's, which gives the files their hashed names; then uploads them.

        `collectstatic --no-post-process` never gets here, and so leaves the bucket alone.
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
        present = {each["Key"]: each["ETag"] for page in pages for each in page.get("Contents", ())}
        hashed = set(self.hashed_files.values())

        def upload(name: str) -> bool:
            content = Path(self.location, name).read_bytes()
            # S3's ETag of such an object is its MD5.
            # https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
            etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
            if present.get(PREFIX + name) == etag:
                return False
            s3.put_object(
                Bucket=self.bucket,
                Key=PREFIX + name,
                Body=content,
                CacheControl=HASHED if name in hashed else UNHASHED,
                ContentType=mimetypes.guess_type(name)[0] or "application/octet-stream",
            )
            return True

        root = Path(self.location)
        names = [str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()]
        names.remove(self.manifest_name)
        with ThreadPoolExecutor(UPLOADS_AT_A_TIME) as pool:
            uploaded = sum(pool.map(upload, names))
        uploaded += upload(self.manifest_name)
        there = len(names) + 1 - uploaded
        return (
            f"{uploaded} files uploaded to s3://{self.bucket}/{PREFIX}, {there} were there already."
        )
