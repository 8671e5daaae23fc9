"""The storages of a deployed site: static files and uploads in the assets bucket."""

from djambda.storage_backends.media import MediaStorage
from djambda.storage_backends.static import StaticStorage

__all__ = ["MediaStorage", "StaticStorage"]
