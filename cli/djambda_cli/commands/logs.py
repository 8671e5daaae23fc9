"""`djambda logs`: the logs of the deployment's functions, merged by time."""

import contextlib
import json
import re
from datetime import datetime, timedelta
from typing import Annotated

import typer

from djambda_cli.aws.log_entries import LogEntry, LogSource
from djambda_cli.aws.log_errors import distinct_errors
from djambda_cli.aws.log_reader import LogFilter, follow_entries, load_request, read_entries
from djambda_cli.deployment import use_deployment
from djambda_cli.errors import CliError
from djambda_cli.operations.log_rendering import render_entry, render_error_count
from djambda_cli.operations.logs import deployment_logs
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stderr, stdout

DEFAULT_SINCE = "10m"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGO = re.compile(r"(\d{1,9})([smhdw])")
PAUSE = 2.0
LOCAL_PAUSE = 0.5


def logs(  # noqa: PLR0913 (its options)
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show new entries until Ctrl-C.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help="Start of the period: 90s, 10m, 2h, 3d or 1w ago, or a local time such as "
            f"2026-11-24T10:00. Default: {DEFAULT_SINCE}; with `--request`, everything.",
            show_default=False,
        ),
    ] = None,
    only_errors: Annotated[bool, typer.Option("--errors", help="Show only errors.")] = False,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Show one request in all logs: the id on an error page, or Lambda's request id.",
        ),
    ] = None,
    function: Annotated[
        LogSource | None,
        typer.Option(help="Show only the log of one function. Not each deployment has all."),
    ] = None,
    grep: Annotated[
        str,
        typer.Option(metavar="TEXT", help="Show only entries with this text, ignoring case."),
    ] = "",
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also show Lambda's own lines: start, duration, memory."),
    ] = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Show the logs of the site's functions in chronological order.

    They are Django, the proxy, and, if the deployment has them, the egress function and the one
    that records failed tasks.

    Example: `djambda logs --follow --errors`
    """
    if request == "":
        raise typer.BadParameter("--request needs the id of a request.")
    if request and follow:
        raise typer.BadParameter("--request and --follow cannot be combined.")
    present = datetime.now().astimezone()
    start = 0 if request and since is None else milliseconds(since or DEFAULT_SINCE, present)
    deployment = use_deployment(local=local, folder=folder)
    all_logs = deployment_logs(deployment)
    selected = [log for log in all_logs if function in {None, log.source}]
    if not selected:
        names = ", ".join(log.source for log in all_logs)
        raise CliError(
            f"{deployment.stack} {deployment.location} has no function {function}. "
            f"Its functions are {names}."
        )
    log_filter = LogFilter(errors=only_errors, text=grep, platform=everything)
    if follow:
        pause = LOCAL_PAUSE if local else PAUSE
        # Ctrl-C is the regular way to end it.
        with contextlib.suppress(KeyboardInterrupt):
            for batch in follow_entries(selected, start, log_filter, pause=pause):
                _print_entries(batch, as_json=as_json)
        return
    if request:
        shown = _select(load_request(all_logs, request, start), function, log_filter)
    else:
        shown = read_entries(selected, start, log_filter)
    _print_entries(shown, as_json=as_json)
    if not shown:
        longer = (
            ""
            if request or since
            else f" in the last {DEFAULT_SINCE}. To search a longer period: --since 1d"
        )
        stderr.print(f"No matching entries{longer or '.'}", style="dim")
    elif only_errors and not request:
        _print_error_count(shown, (since or DEFAULT_SINCE).strip())


def _print_error_count(entries: list[LogEntry], since: str) -> None:
    count = render_error_count(len(distinct_errors(entries)))
    period = f"in the last {since}" if AGO.fullmatch(since) else f"since {since}"
    stderr.print(f"{count} {period}", style="dim")


def milliseconds(since: str, present: datetime) -> int:
    """Return the time of `--since` in ms since 1970. Raises `typer.BadParameter`."""
    ago = AGO.fullmatch(since.strip())
    try:
        time = (
            present - timedelta(**{UNITS[ago[2]]: int(ago[1])})
            if ago
            else datetime.fromisoformat(since.strip())
        )
        if time.tzinfo is None:
            time = time.replace(tzinfo=present.tzinfo)
        return max(0, int(time.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--since {since}: use 90s, 10m, 2h, 3d, 1w, or a time such as 2026-11-24T10:00"
        ) from None


def _select(
    entries: list[LogEntry], function: LogSource | None, log_filter: LogFilter
) -> list[LogEntry]:
    return [
        entry for entry in entries if function in {None, entry.source} and log_filter.matches(entry)
    ]


def _print_entries(entries: list[LogEntry], *, as_json: bool) -> None:
    for entry in entries:
        if as_json:
            stdout.out(json.dumps(entry.as_json()), highlight=False)
        else:
            stdout.print(render_entry(entry, datetime.now().astimezone()), soft_wrap=True)
