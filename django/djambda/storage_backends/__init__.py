"""The storages of a deployed site: static files and uploads in the assets bucket.

Settings name them `djambda.storage_backends.StaticStorage` and `.PrivateMediaStorage`. The latter
needs boto3, which is slow to import, so it is loaded when a page first accesses an upload.
"""

from typing import TYPE_CHECKING

from djambda.storage_backends.static import StaticStorage

if TYPE_CHECKING:
    from djambda.storage_backends.media import PrivateMediaStorage

__all__ = ["PrivateMediaStorage", "StaticStorage"]


def __getattr__(name: str) -> object:  # PEP 562
    if name == "PrivateMediaStorage":
        from djambda.storage_backends.media import PrivateMediaStorage  # noqa: PLC0415 (see above)

        return PrivateMediaStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
