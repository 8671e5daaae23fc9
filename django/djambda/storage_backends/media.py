"""Uploads in the assets bucket: private below `media/`, or public below `public/`."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible
from storages.base import BaseStorage
from storages.utils import clean_name, safe_join, setting

from djambda.bucket import bucket_url, media_location, public_url
from djambda.signed_urls import encoded_key, signed_url

if TYPE_CHECKING:
    from django.core.files.base import File

CACHE_SECONDS = 3600
"""The time for which browsers use a file that they have. Its name may be reused afterwards."""

UNUSABLE_OPTIONS = {
    *("access_key", "secret_key", "security_token", "session_profile"),
    *("bucket_name", "region_name", "endpoint_url", "addressing_style", "signature_version"),
    *("cloudfront_key", "cloudfront_key_id", "cloudfront_signer"),
    *("default_acl", "proxies", "use_ssl", "verify"),
}
"""Options of S3Storage that the deployment decides: the bucket and how to reach it."""

RESPONSE_PARAMETERS = {
    "ResponseCacheControl": "response-cache-control",
    "ResponseContentDisposition": "response-content-disposition",
    "ResponseContentEncoding": "response-content-encoding",
    "ResponseContentLanguage": "response-content-language",
    "ResponseContentType": "response-content-type",
    "VersionId": "versionId",
}
"""Parameters of boto3's `get_object` that are strings of the query string, and their names there.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""


@deconstructible(path="djambda.storage_backends.MediaStorage")
class MediaStorage(BaseStorage):
    """Files in the deployment's bucket, with the options and settings of django-storages for S3.

    `querystring_auth` decides who can read the files. If it is true, as by default, they are below
    `media/`, and their URLs are signed and expire. If it is false, they are below `public/`, and
    everyone can read them at URLs that do not change. `location` is a folder below these.

    A file does not replace another of the same name unless `file_overwrite` is true. boto3, which
    is slow to import, is loaded to access files, but not for their URLs.
    """

    location: str
    querystring_auth: bool
    querystring_expire: int
    custom_domain: str | None
    url_protocol: str
    file_overwrite: bool
    object_parameters: Mapping[str, Any]

    def __init__(self, **options: Any) -> None:
        own = self.get_default_settings().keys()
        super().__init__(**{name: value for name, value in options.items() if name in own})  # type: ignore[no-untyped-call]
        self._s3_options = {
            name: value for name, value in options.items() if name not in own | UNUSABLE_OPTIONS
        }
        self.location = media_location(self.location, public=not self.querystring_auth)

    def get_default_settings(self) -> dict[str, Any]:
        """Return the defaults of the options that are not only S3Storage's."""
        options = {
            "location": ("AWS_LOCATION", ""),
            "querystring_auth": ("AWS_QUERYSTRING_AUTH", True),
            "querystring_expire": ("AWS_QUERYSTRING_EXPIRE", 3600),
            "custom_domain": ("AWS_S3_CUSTOM_DOMAIN", None),
            "url_protocol": ("AWS_S3_URL_PROTOCOL", "https:"),
            "file_overwrite": ("AWS_S3_FILE_OVERWRITE", False),
            "object_parameters": ("AWS_S3_OBJECT_PARAMETERS", {}),
        }
        return {
            option: setting(name, default)  # type: ignore[no-untyped-call]
            for option, (name, default) in options.items()
        }

    def url(
        self,
        name: str | None,
        parameters: Mapping[str, Any] | None = None,
        expire: int | None = None,
        http_method: str | None = None,
    ) -> str:
        """Return a public file's URL, or a signed one that is valid for at most `expire` seconds.

        `parameters` are those of boto3's `get_object`. S3 accepts them in signed URLs only.
        """
        parameters = dict(parameters or {})
        path = encoded_key(self._key(name or ""))
        if not self.querystring_auth:
            base = public_url(self.custom_domain, self.url_protocol)
            if not parameters:
                return f"{base}/{path}"
            if base != bucket_url():
                return f"{base}/{path}?{urlencode(parameters)}"
        expire = self.querystring_expire if expire is None else expire
        if parameters.keys() - RESPONSE_PARAMETERS.keys():
            return self._s3.url(name, parameters, expire, http_method)  # type: ignore[call-arg]
        return signed_url(
            f"{bucket_url()}/{path}",
            method=http_method or "GET",
            expire=expire,
            parameters={RESPONSE_PARAMETERS[key]: value for key, value in parameters.items()},
        )

    def get_object_parameters(self, name: str) -> dict[str, Any]:  # noqa: ARG002 (for overrides)
        """Return the parameters of an upload. Override it to set them for each object."""
        scope = "private" if self.querystring_auth else "public"
        age = "no-cache" if self.file_overwrite else f"max-age={CACHE_SECONDS}"
        return {"CacheControl": f"{scope}, {age}", **self.object_parameters}

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return super().get_available_name(clean_name(name), max_length)  # type: ignore[no-untyped-call]

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Return whether a file may be saved as `name`: with `file_overwrite`, under any name."""
        if max_length and len(name) > max_length:
            return False
        return self.file_overwrite or not self.exists(name)

    def _key(self, name: str) -> str:
        try:
            return str(safe_join(self.location, clean_name(name)))  # type: ignore[no-untyped-call]
        except ValueError:
            raise SuspiciousFileOperation(f"{name!r} is outside of {self.location}/") from None

    # Access to the files

    def load(self) -> None:
        """Import boto3 and check the options. Otherwise the first access to a file does this."""
        self._s3  # noqa: B018

    @cached_property
    def _s3(self) -> Storage:
        from djambda.storage_backends.s3_files import S3Files  # noqa: PLC0415 (imports boto3)

        return S3Files(self, self._s3_options)

    def __getattr__(self, name: str) -> Any:
        """Return another attribute of S3Storage, such as `bucket` and `connection`."""
        if name.startswith("_") or name in self.get_default_settings():
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self._s3, name)

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        return self._s3.open(name, mode)

    def _save(self, name: str, content: "File[Any]") -> str:
        saved: str = self._s3._save(name, content)  # type: ignore[attr-defined]
        return saved

    def delete(self, name: str) -> None:
        self._s3.delete(name)

    def exists(self, name: str) -> bool:
        return self._s3.exists(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        return self._s3.listdir(path)

    def size(self, name: str) -> int:
        return self._s3.size(name)

    def get_modified_time(self, name: str) -> datetime:
        return self._s3.get_modified_time(name)
