"""Log entries as lines for the terminal."""

import re
from datetime import datetime

from rich.text import Text

from djambda_cli.aws.log_entries import ERROR_LEVELS, LogEntry, LogSource, as_text

SOURCE_STYLES = {
    LogSource.DJANGO: "cyan",
    LogSource.PROXY: "magenta",
    LogSource.EGRESS: "blue",
    LogSource.FAILED_TASKS: "yellow",
}
LEVEL_STYLES = {
    "DEBUG": "dim",
    "INFO": "green",
    "WARN": "yellow",
    "WARNING": "yellow",
    **dict.fromkeys(ERROR_LEVELS, "bold red"),
}
UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, marks that change the direction of text, and unpaired surrogates."""


def render_entry(entry: LogEntry, present: datetime) -> Text:
    """Return a line, with the entry's details below. Times are in the zone of `present`."""
    time = entry.time.astimezone(present.tzinfo)
    day = "" if time.date() == present.date() else f"{time:%Y-%m-%d} "
    quiet = "dim" if entry.is_platform and not entry.is_error else ""
    line = Text(style=quiet)
    line.append(f"{day}{time:%H:%M:%S}.{time.microsecond // 1000:03} ", "dim")
    line.append(f"{entry.source.value:<6} ", quiet or SOURCE_STYLES[entry.source])
    line.append(f"{entry.level:<8} ", LEVEL_STYLES.get(entry.level, ""))
    if entry.is_platform and entry.invocation:
        line.append(f"{entry.invocation} ")
    if entry.logger:
        line.append(f"{entry.logger}: ", "dim")
    line.append(printable(entry.message))
    for name, value in entry.extra.items():
        line.append(printable(f"  {name}={as_text(value)}"), "dim")
    for detail in entry.details.splitlines():
        line.append(printable(f"\n    {detail}"), quiet or "dim")
    return line


def render_error_count(count: int) -> str:
    """Return a number of errors in words: "no errors", "1 error", "2 errors"."""
    return f"{count:,} error{'s' * (count > 1)}" if count else "no errors"


def printable(text: str) -> str:
    """Escape what could control the terminal: visitors determine a part of what is logged."""
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
