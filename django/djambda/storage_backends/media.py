"""Uploads: `media/` in the assets bucket, readable only with signed URLs."""

from typing import Any

from django.core.files.base import ContentFile, File
from storages.backends.s3 import S3Storage

from djambda.storage_backends.content_types import content_type_of


class PrivateMediaStorage(S3Storage):
    """django-storages' S3 backend with signed URLs; a file never replaces another of the same name.

    Files are stored byte for byte. Bucket, region and the URLs' lifetime come from the AWS_*
    settings that `djambda.aws` sets.
    """

    location = "media"
    file_overwrite = False
    querystring_auth = True
    custom_domain = None

    def _save(self, name: str, content: "File[Any]") -> str:
        saved: str = super()._save(name, _as_bytes(content))  # type: ignore[no-untyped-call]
        return saved

    def _get_write_parameters(self, name: str, content: Any = None) -> dict[str, Any]:
        """Guess no content encoding: https://github.com/jschneier/django-storages/issues/451."""
        parameters: dict[str, Any] = super()._get_write_parameters(name, content)  # type: ignore[no-untyped-call]
        configured = self.get_object_parameters(name)  # type: ignore[no-untyped-call]
        if "ContentType" not in configured:
            declared = getattr(content, "content_type", None)
            parameters["ContentType"] = declared or content_type_of(name)
        if "ContentEncoding" not in configured:
            parameters.pop("ContentEncoding", None)
        return parameters


def _as_bytes(content: "File[Any]") -> "File[Any]":
    """Encode text content: S3 needs its size in bytes, and django-storages counts characters.

    https://github.com/jschneier/django-storages/issues/1357
    """
    if content.seekable():
        content.seek(0)
    if isinstance(content.read(0), bytes):
        return content
    encoding = getattr(content, "encoding", None) or "utf-8"
    encoded = ContentFile(content.read().encode(encoding), name=content.name)
    if content_type := getattr(content, "content_type", None):
        encoded.content_type = content_type  # type: ignore[attr-defined]
    return encoded
