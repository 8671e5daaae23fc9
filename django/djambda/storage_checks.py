"""Django checks of the project's own storages, which `djambda.bucket` does not replace.

`migrate` runs them in a new version, so a deploy fails with their messages before the version goes
live.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, InvalidStorageError, storages

from djambda.signed_urls import check_expiry
from djambda.storage_backends import MediaStorage
from djambda_common.names import MEDIA_PREFIX, PUBLIC_PREFIX

HINT = (
    "Set BACKEND to django.core.files.storage.FileSystemStorage, which the deployment replaces, or "
    "derive the class from djambda.storage_backends.MediaStorage. See docs/how-to/media-files.md."
)


def storage_messages() -> list[checks.CheckMessage]:
    """Return a message for each storage that cannot work on Lambda."""
    aliases = [alias for alias in settings.STORAGES if alias != "staticfiles"]
    return [message for alias in aliases for message in _messages(alias)]


def _messages(alias: str) -> Iterator[checks.CheckMessage]:
    name = f"STORAGES[{alias!r}]"
    try:
        storage: Any = storages[alias]
        if isinstance(storage, MediaStorage):
            check_expiry(storage.querystring_expire)
            storage.load()
    except (ImproperlyConfigured, InvalidStorageError, ValueError) as error:
        yield checks.Error(f"{name} is invalid: {error}", id="djambda.E001")
        return
    except Exception as error:  # noqa: BLE001 (the project's class is imported and created)
        problem = f"{name} cannot be created: {type(error).__name__}: {error}"
        yield checks.Error(problem, hint=HINT, id="djambda.E001")
        return
    if isinstance(storage, FileSystemStorage) and not _is_temporary(storage):
        kind = checks.Error if alias == "default" else checks.Warning
        yield kind(
            f"{name} ({_path(storage)}) stores files on the function's disk, which is read-only.",
            hint=HINT,
            id="djambda.E002" if alias == "default" else "djambda.W002",
        )
    s3 = sys.modules.get("storages.backends.s3")
    if s3 and isinstance(storage, s3.S3Storage) and storage.bucket_name == _bucket():
        for problem in _problems_in_bucket(storage):
            yield checks.Error(
                f"{name} ({_path(storage)}): {problem}.", hint=HINT, id="djambda.E003"
            )


def _problems_in_bucket(storage: Any) -> Iterator[str]:
    """Yield the reasons why a storage cannot use the deployment's bucket."""
    prefix = f"{storage.location}/"
    if not prefix.startswith((MEDIA_PREFIX, PUBLIC_PREFIX)):
        yield f"its location must be below {MEDIA_PREFIX} or {PUBLIC_PREFIX}"
    elif not (storage.querystring_auth or prefix.startswith(PUBLIC_PREFIX)):
        yield f"its URLs are not signed, but only files below {PUBLIC_PREFIX} are public"
    if storage.default_acl:
        yield "it sends an ACL, which S3 rejects in new buckets"


def _bucket() -> str:
    return os.environ["AWS_STORAGE_BUCKET_NAME"]


def _is_temporary(storage: FileSystemStorage) -> bool:
    return Path(storage.location).is_relative_to(tempfile.gettempdir())


def _path(storage: object) -> str:
    return f"{type(storage).__module__}.{type(storage).__qualname__}"
