"""Captured mail for the terminal and for scripts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from djambda_cli.local.mailbox import Mail
from djambda_cli.operations.log_rendering import printable

KILOBYTE = 1000


def mail_table(mails: Sequence[Mail]) -> Table:
    """Return a table with one line for each message."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "Sent", "To", "Subject"):
        table.add_column(name, overflow="fold")
    for mail in mails:
        first, *others = mail.recipients or [""]
        more = f" and {len(others)} more" if others else ""
        table.add_row(
            str(mail.number),
            f"{mail.sent_at.astimezone():%Y-%m-%d %H:%M:%S}",
            Text(printable(first + more)),
            Text(printable(mail.header("Subject"))),
        )
    return table


def render_mail(mail: Mail) -> Text:
    """Return the headers, the text and the names of the attachments."""
    page = Text()
    bcc = {"Bcc": ", ".join(mail.blind_copies)} if mail.blind_copies else {}
    for name, value in {**mail.headers, **bcc}.items():
        page.append(f"{name}: ", "dim").append(f"{printable(value)}\n")
    text = mail.body("plain") or mail.body("html")
    page.append(f"\n{printable(text.replace('\r\n', '\n')).strip()}\n")
    for attachment in mail.attachments:
        size = f"{attachment.size / KILOBYTE:.1f} kB"
        page.append("\nAttachment: ", "dim").append(
            f"{printable(attachment.name)} ({attachment.type}, {size})"
        )
    if mail.body("plain") and mail.body("html"):
        page.append("\nThe message also contains the text as HTML.", "dim")
    return page.append("\nFile: ", "dim").append(str(mail.file))


def summary_as_json(mail: Mail) -> dict[str, Any]:
    """Return what the list shows."""
    return {
        "number": mail.number,
        "sent_at": mail.sent_at.isoformat(),
        "from": mail.header("From"),
        "to": mail.recipients,
        "subject": mail.header("Subject"),
    }


def mail_as_json(mail: Mail) -> dict[str, Any]:
    """Return a whole message."""
    return {
        **summary_as_json(mail),
        "bcc": mail.blind_copies,
        "headers": mail.all_headers,
        "text": mail.body("plain"),
        "html": mail.body("html"),
        "attachments": [asdict(attachment) for attachment in mail.attachments],
        "file": str(mail.file),
    }
