"""Django's email backend for Amazon SES: the envelope and the MIME message of an `EmailMessage`."""

import email.policy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.encoders import encode_quopri
from email.message import Message
from email.utils import getaddresses, make_msgid
from smtplib import SMTPException
from typing import Any

import django
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.encoding import punycode

from djambda.mail.ses import OutcomeUnknownError, UnreachableError, send

logger = logging.getLogger(__name__)

ASCII = email.policy.SMTP.clone(cte_type="7bit")

HIDDEN = ("Bcc", "Resent-Bcc")
"""Headers that every recipient could read. Django 6.1 refuses the first one among `headers`."""


class EmailBackend(BaseEmailBackend):
    """Sends messages with the credentials of the function's role.

    There is nothing to open or close: messages that follow each other share a connection.
    """

    def __init__(self, fail_silently: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fail_silently = fail_silently

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send the messages; return the number of those that SES has accepted.

        Raises an `smtplib.SMTPException` at the first failure. With `fail_silently` it is logged,
        and if SES does not respond, the remaining messages are not tried.
        """
        sent = 0
        for message in email_messages or ():
            try:
                sent += self._send(message)
            except SMTPException as error:
                if not self.fail_silently:
                    raise
                logger.warning("%s", error)
                if isinstance(error, OutcomeUnknownError | UnreachableError):
                    break
        return sent

    def _send(self, message: EmailMessage) -> bool:
        """Send a message, unless it has no recipients. Raises `SMTPException`, `ValueError`."""
        fields: dict[str, str] = {}
        for field, address in _recipients(message):
            fields.setdefault(address, field)  # A recipient gets one copy.
        if not fields:
            return False
        recipients = [(field, address) for address, field in fields.items()]
        sender = ascii_address(message.from_email)
        with _message_id(message, domain=sender.rpartition("@")[2]):
            send(_mime(message), sender=sender, recipients=recipients)
        return True


def ascii_address(text: str) -> str:
    """Return the address without its name, and the domain in its ASCII form.

    Raises `ValueError` if it is not one address, or one that SES does not support.
    """
    pairs = getaddresses([str(text)])
    address = pairs[0][1] if len(pairs) == 1 else ""
    local, _, domain = address.rpartition("@")
    if not local or not domain or any(char.isspace() for char in address):
        raise ValueError(f"Invalid address {text!r}: it is not a single email address.")
    if not local.isascii():
        raise ValueError(f"Invalid address {text!r}: SES supports only ASCII before the @.")
    return f"{local}@{punycode(domain).lower()}"


def _recipients(message: EmailMessage) -> Iterator[tuple[str, str]]:
    """Yield the fields and addresses; those that are in no header are blind copies."""
    to, cc = set(message.to), set(message.cc)
    for recipient in message.recipients():
        field = "To" if recipient in to else "Cc" if recipient in cc else "Bcc"
        yield field, ascii_address(recipient)


@contextmanager
def _message_id(message: EmailMessage, *, domain: str) -> Iterator[None]:
    """Give a message its ID, for which Django would look up the machine's name in the DNS."""
    headers = message.extra_headers
    if "message-id" not in map(str.lower, headers):
        message.extra_headers = {**headers, "Message-ID": make_msgid(domain=domain)}
    try:
        yield
    finally:
        message.extra_headers = headers


def _mime(message: EmailMessage) -> bytes:
    """Return the message in ASCII, as SES requires.

    https://docs.aws.amazon.com/ses/latest/APIReference/API_RawMessage.html
    """
    has_policy = django.VERSION >= (6, 0)
    mime: Any = message.message(policy=ASCII) if has_policy else message.message()
    for name in HIDDEN:
        del mime[name]
    if has_policy:
        return bytes(mime.as_bytes())
    for part in mime.walk():
        if part["Content-Transfer-Encoding"] == "8bit":
            text = part.get_payload(decode=True)
            del part["Content-Transfer-Encoding"]
            Message.set_payload(part, text)
            encode_quopri(part)
    return bytes(mime.as_bytes(linesep="\r\n"))
