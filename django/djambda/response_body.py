"""Decide how a response's body is sent in JSON: as text, or as base64."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

LONGEST_ESCAPE = 6
"""Bytes of JSON that one byte of text may take ("\\u0000")."""

TEXT_TYPES = frozenset(
    {
        "",
        "application/javascript",
        "application/json",
        "application/x-www-form-urlencoded",
        "application/xml",
    }
)
"""Besides text/*, *+json and *+xml. A body without a type is text if it is valid UTF-8."""


def as_text(
    body: bytes,
    values: dict[str, list[str]],
    base64_content_types: Collection[str] | None,
    limit: int,
) -> str | None:
    """Return the body as text, or None if it is not text or too large as a JSON string."""
    if "content-encoding" in values and values["content-encoding"] != ["identity"]:
        return None
    content_type = values["content-type"][0] if "content-type" in values else ""
    if not _is_text(content_type):
        return None
    if base64_content_types and _media_type(content_type) in base64_content_types:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    if len(body) * LONGEST_ESCAPE > limit and json_size(text) - len('""') > limit:
        return None
    return text


def json_size(value: object) -> int:
    """Return the size as Lambda's runtime encodes it: in UTF-8, without escapes of letters."""
    return len(json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace"))


@lru_cache(maxsize=256)
def _is_text(content_type: str) -> bool:
    media_type = _media_type(content_type)
    return (
        media_type in TEXT_TYPES
        or media_type.startswith("text/")
        or media_type.endswith(("+json", "+xml"))
    )


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
