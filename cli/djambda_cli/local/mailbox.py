"""The mail that the local cloud has captured: see `emulator_mail.py`."""

import email.policy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses
from pathlib import Path

FOLDER = "mail"
"""In the cloud's folder, with one file for each message."""

HEADERS = ("From", "To", "Cc", "Reply-To", "Subject", "Date")
CAPTURED_AT, SENDER, RECIPIENTS = "X-Captured-At", "X-Envelope-From", "X-Envelope-To"


@dataclass(frozen=True)
class Attachment:
    """An attached file. `size` is in bytes."""

    name: str
    type: str
    size: int


@dataclass(frozen=True)
class Mail:
    """A captured message, with decoded headers. `file` can be opened with a mail program."""

    number: int
    file: Path
    message: EmailMessage

    @property
    def sent_at(self) -> datetime:
        """The time at which SES accepted it."""
        return datetime.fromisoformat(self.header(CAPTURED_AT))

    @property
    def recipients(self) -> list[str]:
        """The addresses that get it."""
        return [address for _, address in getaddresses([self.header(RECIPIENTS)])]

    @property
    def blind_copies(self) -> list[str]:
        """The recipients that no header names."""
        texts = [self.header("To"), self.header("Cc")]
        named = {address.lower() for _, address in getaddresses(texts)}
        return [address for address in self.recipients if address.lower() not in named]

    @property
    def headers(self) -> dict[str, str]:
        """The headers that people read."""
        found = {name: self.header(name) for name in HEADERS}
        return {name: text for name, text in found.items() if text}

    @property
    def attachments(self) -> list[Attachment]:
        """The attached files."""
        return [
            Attachment(
                part.get_filename() or "unnamed",
                part.get_content_type(),
                len(part.get_payload(decode=True) or b""),
            )
            for part in self.message.iter_attachments()
        ]

    def header(self, name: str) -> str:
        """Return a header's text, "" if it is missing."""
        return str(self.message.get(name, ""))

    def body(self, kind: str) -> str:
        """Return the text of a kind ("plain" or "html"), "" if there is none."""
        part = self.message.get_body((kind,))
        return str(part.get_content()) if part else ""


def load_mail(cloud: Path) -> list[Mail]:
    """Return the mail that the cloud in a folder has captured, the oldest first."""
    return sorted(_read(cloud / FOLDER), key=lambda mail: mail.number)


def _read(folder: Path) -> Iterator[Mail]:
    for file in folder.glob("*.eml"):
        parser: BytesParser[EmailMessage] = BytesParser(policy=email.policy.default)
        yield Mail(int(file.stem), file, parser.parsebytes(file.read_bytes()))
