"""Read and write a media storage's files with boto3, byte for byte."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from django.core.files.base import ContentFile, File
from storages.backends.s3 import S3Storage

from djambda.storage_backends.content_types import content_type_of

if TYPE_CHECKING:
    from djambda.storage_backends.media import MediaStorage

ACL_PARAMETERS = ("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP")
"""Parameters of an upload that S3 rejects, because ACLs are disabled in new buckets."""

COMPLETING_OPERATIONS = ("PutObject", "CompleteMultipartUpload")
NAME_IS_TAKEN = {"ConditionalRequestConflict", "PreconditionFailed"}
"""Errors of an upload with `If-None-Match: *` that another upload of the same name preceded.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""


class S3Files(S3Storage):
    """django-storages' access to the files of `media` in the deployment's bucket."""

    def __init__(self, media: "MediaStorage", options: Mapping[str, Any]) -> None:
        self._media = media
        self._new_keys: list[str] = []
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
        """Store the file, under another name if a simultaneous upload has just taken this one."""
        content = _as_bytes(name, content)
        while True:
            try:
                with self._must_be_new(name):
                    saved: str = super()._save(name, content)  # type: ignore[no-untyped-call]
                    return saved
            except ClientError as error:
                if error.response["Error"]["Code"] not in NAME_IS_TAKEN or not content.seekable():
                    raise
            name = self._media.get_available_name(name)

    @contextmanager
    def _must_be_new(self, name: str) -> Iterator[None]:
        """Let S3 reject the upload of `name` if the object exists, unless it may be replaced.

        boto3's `upload_fileobj` does not accept the parameter for this. Its events do.
        """
        if self._media.file_overwrite:
            yield
            return
        for operation in COMPLETING_OPERATIONS:
            event = f"provide-client-params.s3.{operation}"
            self.bucket.meta.client.meta.events.register(event, self._add_condition, str(id(self)))
        key = self._media._key(name)
        self._new_keys.append(key)
        try:
            yield
        finally:
            self._new_keys.remove(key)

    def _add_condition(self, params: dict[str, Any], **_: Any) -> None:
        if params["Key"] in self._new_keys:
            params["IfNoneMatch"] = "*"

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
