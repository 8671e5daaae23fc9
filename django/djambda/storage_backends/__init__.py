"""Where the site's files are on AWS: both storages are folders of the assets bucket.

Settings name them `djambda.storage_backends.StaticStorage` and `.PrivateMediaStorage`. The second
needs boto3, which takes longer to import than Django to answer. So it is loaded when a page first
touches an upload, and not together with the first, which every page with a style sheet needs.
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
