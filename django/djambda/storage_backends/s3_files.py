"""Read and write a media storage's files with boto3, byte for byte."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile, File
from storages.backends.s3 import S3Storage

from djambda.storage_backends.content_types import content_type_of

if TYPE_CHECKING:
    from djambda.storage_backends.media import MediaStorage

ACL_PARAMETERS = ("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP")
"""Parameters of an upload that S3 rejects, because ACLs are disabled in new buckets."""


class S3Files(S3Storage):
    """django-storages' access to the files of `media` in the deployment's bucket."""

    def __init__(self, media: "MediaStorage", options: Mapping[str, Any]) -> None:
        self._media = media
        super().__init__(  # type: ignore[no-untyped-call]
            **options,
            bucket_name=os.environ["AWS_STORAGE_BUCKET_NAME"],
            location=media.location,
            custom_domain=None,
            default_acl=None,
            querystring_auth=True,
        )

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        return self._media.get_object_parameters(name)

    def _save(self, name: str, content: "File[Any]") -> str:
        saved: str = super()._save(name, _as_bytes(name, content))  # type: ignore[no-untyped-call]
        return saved

    def _get_write_parameters(self, name: str, content: Any = None) -> dict[str, Any]:
        """Guess no content encoding: https://github.com/jschneier/django-storages/issues/451."""
        parameters: dict[str, Any] = super()._get_write_parameters(name, content)  # type: ignore[no-untyped-call]
        configured = self.get_object_parameters(name)
        if "ContentType" not in configured:
            declared = getattr(content, "content_type", None)
            parameters["ContentType"] = declared or content_type_of(name)
        if "ContentEncoding" not in configured:
            parameters.pop("ContentEncoding", None)
        for parameter in ACL_PARAMETERS:
            parameters.pop(parameter, None)
        return parameters


def _as_bytes(name: str, content: "File[Any]") -> "File[Any]":
    """Encode text content: S3 needs its size in bytes, and django-storages counts characters.

    https://github.com/jschneier/django-storages/issues/1357
    """
    if content.seekable():
        content.seek(0)
    if isinstance(content.read(0), bytes):
        return content
    encoding = getattr(content, "encoding", None) or "utf-8"
    encoded = ContentFile(content.read().encode(encoding), name=content.name)
    media_type = getattr(content, "content_type", None) or content_type_of(name)
    if media_type.startswith("text/") and ";" not in media_type:
        media_type += f"; charset={encoding}"
    encoded.content_type = media_type  # type: ignore[attr-defined]
    return encoded
