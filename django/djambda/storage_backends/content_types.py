"""The content type of a stored file, which is served as it was stored.

Python's `mimetypes` describes `a.tar.gz` as a tar archive with the content encoding gzip. With that
encoding, browsers would decompress the file and keep its name. And it knows fewer types on Lambda,
which has no `/etc/mime.types`, than on other machines.
"""

import mimetypes
from pathlib import Path

DEFAULT = "application/octet-stream"
COMPRESSED = {
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}

MISSING = {
    ".7z": "application/x-7z-compressed",
    ".atom": "application/atom+xml",
    ".avif": "image/avif",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".eot": "application/vnd.ms-fontobject",
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".geojson": "application/geo+json",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".gpx": "application/gpx+xml",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".ics": "text/calendar",
    ".jsonld": "application/ld+json",
    ".jxl": "image/jxl",
    ".kml": "application/vnd.google-earth.kml+xml",
    ".log": "text/plain",
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".map": "application/json",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".otf": "font/otf",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".rss": "application/rss+xml",
    ".toml": "application/toml",
    ".ttf": "font/ttf",
    ".usdz": "model/vnd.usdz+zip",
    ".weba": "audio/webm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xhtml": "application/xhtml+xml",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
"""Types that a supported Python lacks: https://www.iana.org/assignments/media-types/"""


def content_type_of(name: str) -> str:
    """Return the media type of the file itself, compressed or not."""
    media_type, encoding = mimetypes.guess_type(f"./{name}")  # Not a URL such as "data:x.png".
    if encoding:
        return COMPRESSED.get(encoding, DEFAULT)
    return media_type or MISSING.get(Path(name).suffix.lower(), DEFAULT)
