"""Let a visitor send the data of a form again that has not been processed.

Only data that the site's own page has sent: in a form of ours, the data of another site's form
would seem to come from this site. Passwords, files and long texts are not repeated in a page; the
browser sends them again when the visitor reloads it.
"""

import base64
import html
from email import message_from_bytes
from urllib.parse import parse_qsl

from gateway_event import header, method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayEvent

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
MAX_BODY = 500_000
"""Bytes. With more, escaped as HTML, the page could exceed Lambda's limit."""

RELOAD = "<p>To do so, reload this page. Your browser will ask before it sends the data.</p>"


class CannotRepeatError(ValueError):
    """The page cannot contain the data."""


def resend_html(event: "GatewayEvent") -> str:
    """Return the HTML that lets the visitor send the same data again, "" if it is not a form's."""
    content_type = header(event, "content-type")
    kind = content_type.partition(";")[0].strip().lower()
    is_form = method(event) == "POST" and kind in {URLENCODED, MULTIPART}
    if not is_form or not _is_from_this_site(event):
        return ""
    try:
        body = _body(event)
        if kind == URLENCODED:
            fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
        else:
            fields = _parts(content_type, body)
        if any("pass" in name.lower() for name, _ in fields):
            raise CannotRepeatError("a password")
    except ValueError:
        return RELOAD
    inputs = "\n".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{_escaped(value)}">'
        for name, value in fields
    )
    return (
        f'<form method="post" enctype="{kind}">\n{inputs}\n'
        '<button class="button">Send again</button>\n</form>'
    )


def _is_from_this_site(event: "GatewayEvent") -> bool:
    """https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header"""
    if site := header(event, "sec-fetch-site"):
        return site == "same-origin"
    origin = header(event, "origin")
    return not origin or origin.partition("://")[2] == header(event, "host")


def _body(event: "GatewayEvent") -> bytes:
    """Return the body. Raises `ValueError` if it is malformed or too long."""
    body = event.get("body") or ""
    if not isinstance(body, str) or len(body) > MAX_BODY:
        raise CannotRepeatError("a long body")
    return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()


def _parts(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a multipart body (RFC 7578). Raises `ValueError` if it has a file."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    fields = []
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if part.is_multipart() or not isinstance(name, str) or not isinstance(content, bytes):
            continue
        if part.get_filename() is None:
            fields.append((name, content.decode()))
        elif content:
            raise CannotRepeatError("a file")
    return fields


def _escaped(value: str) -> str:
    """Return a value for an attribute. A literal line break might be changed by a parser."""
    return html.escape(value).replace("\r", "&#13;").replace("\n", "&#10;")
