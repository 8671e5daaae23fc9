"""The content type of a stored file, which is served as it was stored.

Python's `mimetypes` describes `a.tar.gz` as a tar archive with the content encoding gzip. With that
encoding, browsers would decompress the file and keep its name.
"""

import mimetypes

DEFAULT = "application/octet-stream"
COMPRESSED = {
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}


def content_type_of(name: str) -> str:
    """Return the media type of the file itself, compressed or not."""
    media_type, encoding = mimetypes.guess_type(name)
    if encoding:
        return COMPRESSED.get(encoding, DEFAULT)
    return media_type or DEFAULT
