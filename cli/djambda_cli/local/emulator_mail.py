"""Capture mail: each message that the emulated SES accepts becomes a file, which nobody receives.

It runs with the emulator's interpreter and imports nothing of djambda. `mailbox.py` reads them.
"""

import base64
import binascii
import email.policy
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from pathlib import Path
from typing import Any

OUTBOUND = "/v2/email/outbound-emails"
FIELDS = ("ToAddresses", "CcAddresses", "BccAddresses")
MAX_RECIPIENTS = 50
MAX_BYTES = 40 * 1024 * 1024
"""https://docs.aws.amazon.com/ses/latest/dg/quotas.html"""

type Result = tuple[int, Mapping[str, str], bytes]
type Handle = Callable[..., Awaitable[Result]]


def with_capture(handle: Handle, folder: Path) -> Handle:
    """Return the emulated API of SES with SES's limits, and with a copy of all mail in `folder`."""

    async def handle_request(
        method: str, path: str, headers: Any, body: bytes, query_params: Any
    ) -> Result:
        if (method, path.rstrip("/")) != ("POST", OUTBOUND):
            return await handle(method, path, headers, body, query_params)
        try:
            request = json.loads(body)
            message = mime_of(request)
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            return await handle(method, path, headers, body, query_params)  # It returns the error.
        if problem := problem_of(message, recipients_of(request)):
            return rejection(problem)
        result = await handle(method, path, headers, body, query_params)
        if result[0] == 200:  # noqa: PLR2004 (a success)
            save(folder, request, message)
        return result

    return handle_request


def mime_of(request: Mapping[str, Any]) -> bytes:
    """Return the message of a request to SendEmail, in MIME."""
    content = request["Content"]
    if "Raw" in content:
        return with_sender(base64.b64decode(content["Raw"]["Data"]), request)
    simple, message = content["Simple"], EmailMessage()
    message["From"] = request["FromEmailAddress"]
    for field in FIELDS[:2]:
        if addresses := request["Destination"].get(field):
            message[field.removesuffix("Addresses")] = ", ".join(addresses)
    message["Subject"] = simple["Subject"]["Data"]
    bodies = simple["Body"]
    message.set_content(bodies.get("Text", {}).get("Data", ""))
    if "Html" in bodies:
        message.add_alternative(bodies["Html"]["Data"], subtype="html")
    return message.as_bytes()


def with_sender(message: bytes, request: Mapping[str, Any]) -> bytes:
    """Return a message with the sender that a request has, if it has one: it replaces From."""
    if not (sender := request.get("FromEmailAddress")):
        return message
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    del parsed["From"]
    parsed["From"] = sender
    return parsed.as_bytes()


def sender_of(message: bytes) -> str:
    """Return the address in the header From."""
    headers = BytesParser().parsebytes(message, headersonly=True)
    return parseaddr(str(headers["From"]))[1]


def recipients_of(request: Mapping[str, Any]) -> list[str]:
    """Return the recipients of a request, with those that no header names."""
    destination = request.get("Destination") or {}
    return [address for field in FIELDS for address in destination.get(field) or ()]


def problem_of(message: bytes, recipients: list[str]) -> str:
    """Return the limit of SES that a message exceeds, or ""."""
    if len(recipients) > MAX_RECIPIENTS:
        return f"Recipient count exceeds {MAX_RECIPIENTS}."
    if len(message) > MAX_BYTES:
        return f"Message length is more than {MAX_BYTES} bytes long: {len(message)}."
    return ""


def rejection(message: str) -> Result:
    """Return an error of SES."""
    code = "BadRequestException"
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return 400, headers, json.dumps({"message": message}).encode()


def save(folder: Path, request: Mapping[str, Any], message: bytes) -> None:
    """Write a message with its envelope as the first headers. The numbers of files are those of
    the messages.
    """
    folder.mkdir(exist_ok=True)
    names = [file.stem for file in folder.glob("*.eml")]
    number = 1 + max((int(name) for name in names if name.isdecimal()), default=0)
    envelope = {
        "X-Captured-At": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "X-Envelope-From": sender_of(message),
        "X-Envelope-To": ",\r\n ".join(recipients_of(request)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in envelope.items())
    new = folder / f"{number}.new"  # Renamed when complete: another process reads the folder.
    new.write_bytes(head.encode() + message)
    new.rename(folder / f"{number}.eml")
