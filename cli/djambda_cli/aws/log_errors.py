"""The errors of a period: what `djambda logs --errors` shows and `djambda status` counts.

An error is a request or a command whose log has a line with the level ERROR: every 5xx response,
every command that fails, and whatever the project logs as an error. A failed request has several
such lines, in several logs, and counts once.
"""

from collections.abc import Iterable

from djambda_cli.aws.log_entries import LogEntry, LogSource


def distinct_errors(entries: Iterable[LogEntry]) -> list[LogEntry]:
    """Return one entry for each error, by time: the one that explains it best."""
    errors: dict[str, LogEntry] = {}
    for number, entry in enumerate(entries):
        if not entry.is_error:
            continue
        key = _request(entry) or str(number)
        if key not in errors or _rank(entry) < _rank(errors[key]):
            errors[key] = entry
    return sorted(errors.values(), key=lambda entry: entry.timestamp)


def _request(entry: LogEntry) -> str:
    """Return the id of the request in Django's log, if it is known."""
    return str(entry.extra.get("invocationId") or entry.invocation)


def _rank(entry: LogEntry) -> tuple[bool, bool]:
    """Order entries about the same error: Django's own, those of others, Lambda's reports."""
    return entry.is_platform, entry.source is not LogSource.DJANGO
