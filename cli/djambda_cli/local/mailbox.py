"""The mail that the local cloud has captured: see `emulator_mail.py`."""

import email.policy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
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
        """The time at which SES accepted it, or that of the file if it is damaged."""
        try:
            return datetime.fromisoformat(self.header(CAPTURED_AT))
        except ValueError:
            return datetime.fromtimestamp(self.file.stat().st_mtime, UTC)

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

    @property
    def all_headers(self) -> list[tuple[str, str]]:
        """The names and texts of all headers. Those that Python cannot parse are as written."""
        return [(name, self._decoded(name, raw)) for name, raw in self.message.raw_items()]

    def _decoded(self, name: str, raw: str) -> str:
        try:
            return str(self.message.policy.header_fetch_parse(name, raw))
        except Exception:  # noqa: BLE001 (the parser raises several, such as IndexError)
            return raw

    def header(self, name: str) -> str:
        """Return a header's text, "" if it is missing."""
        found = (raw for own, raw in self.message.raw_items() if own.lower() == name.lower())
        raw = next(found, None)
        return "" if raw is None else self._decoded(name, raw)

    def body(self, kind: str) -> str:
        """Return the text of a kind ("plain" or "html"), "" if there is none."""
        part = self.message.get_body((kind,))
        if part is None:
            return ""
        try:
            return str(part.get_content())
        except LookupError:  # The charset is unknown.
            return bytes(part.get_payload(decode=True)).decode(errors="replace")


def load_mail(cloud: Path) -> list[Mail]:
    """Return the mail that the cloud in a folder has captured, the oldest first."""
    return sorted(_read(cloud / FOLDER), key=lambda mail: mail.number)


def _read(folder: Path) -> Iterator[Mail]:
    for file in folder.glob("*.eml"):
        if not file.stem.isdecimal():  # A copy that somebody has made.
            continue
        parser: BytesParser[EmailMessage] = BytesParser(policy=email.policy.default)
        yield Mail(int(file.stem), file, parser.parsebytes(file.read_bytes()))
