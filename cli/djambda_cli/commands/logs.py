"""`djambda logs`: what the front door and Django wrote, as one story that people can read.

It gets the events of both logs from CloudWatch; `log_entries.py` knows what they mean. A request
has one id in the front door's log and another in Django's. The front door's line about a failed
request has both, so that `--request` finds all of it from either.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore import exceptions
from botocore.exceptions import ClientError

from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.log_entries import (
    ERROR_LEVELS,
    Entry,
    Event,
    Which,
    fields_of,
    is_front_doors,
    line_of,
    parsed,
)
from djambda_cli.deployment import Deployment, use_deployment
from djambda_cli.errors import CliError
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stderr, stdout

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

DEFAULT_SINCE = "10m"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

LATE_MS = 60_000
"""By how much a line may come after a newer one and still be shown: they come in batches."""
FRONT_DOOR_MS = 30_000
"""Longer than the front door takes for one request."""
PAUSE = 2.0
LOCAL_PAUSE = 0.5

NO_ANSWER = (exceptions.ConnectionError, exceptions.HTTPClientError)
"""What is over some time: a laptop that slept, a local cloud that restarts."""

ERROR_PATTERN = "{{ {} }}".format(
    " || ".join(
        f'($.{name} = "{value}")'
        for name, values in {
            "level": sorted(ERROR_LEVELS),
            "record.status": ["error", "failure", "timeout"],
        }.items()
        for value in values
    )
)
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html"""


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted."""

    errors: bool = False
    text: str = ""
    platform: bool = False

    @property
    def pattern(self) -> str:
        """What CloudWatch itself can leave out."""
        return ERROR_PATTERN if self.errors else ""

    def __call__(self, entry: Entry) -> bool:
        """Whether an entry is wanted."""
        if self.errors and not entry.is_error:
            return False
        if entry.platform and not (self.platform or entry.is_error):
            return False
        return self.text.lower() in entry.raw.lower()


@dataclass(frozen=True)
class Log:
    """One function's log."""

    client: "CloudWatchLogsClient"
    function: Which
    group: str
    missing: str

    def events(self, start: int, pattern: str = "", **more: Any) -> Iterator[Event]:
        """Its events from `start` (ms since 1970) on, `more` as for boto3's filter_log_events.

        Raises CliError, and botocore's errors of the network.
        """
        same: dict[tuple[str, int, str], int] = defaultdict(int)
        asked: dict[str, Any] = {
            "logGroupName": self.group,
            "startTime": start,
            "filterPattern": pattern,
        } | more
        try:
            for page in self.client.get_paginator("filter_log_events").paginate(**asked):
                for event in page["events"]:
                    at, line, stream = event["timestamp"], event["message"], event["logStreamName"]
                    # The local cloud has no ids. What was logged in one moment comes in one look.
                    same[stream, at, line] += 1
                    key = event.get("eventId") or f"{stream} {at} {same[stream, at, line]} {line}"
                    yield Event(key, self.function, stream, at, line)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                raise CliError(self.missing) from None
            with aws_errors():
                raise


def logs(  # noqa: PLR0913 (its options)
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help="From when on: 90s, 10m, 2h, 3d, 1w, or a time such as 2026-11-24T10:00 (yours). "
            f"Default: {DEFAULT_SINCE}; with --request all there is.",
            show_default=False,
        ),
    ] = None,
    only_errors: Annotated[bool, typer.Option("--errors", help="Errors only.")] = False,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="One request, in both logs: the number on an error page, or Lambda's id.",
        ),
    ] = None,
    function: Annotated[
        Which | None, typer.Option(help="Only Django's log, or only the front door's (proxy).")
    ] = None,
    grep: Annotated[
        str, typer.Option(metavar="TEXT", help="Only what has this text in it, in any case.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Lambda's own lines too: start, duration, memory.")
    ] = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Show what Django and the front door logged, by time.

    Example: `djambda logs --follow --errors`
    """
    if request == "":
        raise typer.BadParameter("--request wants the number of a request.")
    if request and follow:
        raise typer.BadParameter("A request that is over cannot be followed: leave out --follow.")
    start = 0 if request and since is None else milliseconds(since or DEFAULT_SINCE, now())
    both = logs_of(use_deployment(local=local, folder=folder))
    chosen = [log for log in both if function in {None, log.function}]
    wanted = Filter(errors=only_errors, text=grep, platform=everything)
    if request:
        found = of_request(both, request, start)
        shown = {log.function for log in chosen}
        batches: Iterable[list[Entry]] = [
            [entry for entry in found if entry.function in shown and wanted(entry)]
        ]
    elif follow:
        batches = following(chosen, start, wanted, pause=LOCAL_PAUSE if local else PAUSE)
    else:
        batches = [read(chosen, start, wanted)]
    some = False
    try:
        for batch in batches:
            some = some or bool(batch)
            for entry in batch:
                _show(entry, as_json=as_json)
    except KeyboardInterrupt:
        if not follow:
            raise
        return  # It has no other end.
    if not some:
        further = "" if request or since else " --since 1d looks further back."
        stderr.print(f"Nothing to show.{further}", style="dim")


def now() -> datetime:
    """The time, with this machine's time zone."""
    return datetime.now().astimezone()


def milliseconds(since: str, present: datetime) -> int:
    """The moment that `--since` means, in ms since 1970. Raises typer.BadParameter."""
    ago = re.fullmatch(r"(\d{1,9})([smhdw])", since.strip())
    try:
        moment = (
            present - timedelta(**{UNITS[ago[2]]: int(ago[1])})
            if ago
            else datetime.fromisoformat(since.strip())
        )
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=present.tzinfo)
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--since {since}: use 90s, 10m, 2h, 3d, 1w, or a time such as 2026-11-24T10:00"
        ) from None


def logs_of(deployment: Deployment) -> list[Log]:
    """Both functions' logs."""
    client = deployment.client("logs")
    groups = {Which.DJANGO: deployment.function, Which.PROXY: deployment.proxy}
    return [
        Log(
            client,
            which,
            f"/aws/lambda/{function}",
            f"The log group /aws/lambda/{function} does not exist {deployment.location}. The first "
            f"deploy creates it: {deployment.command('deploy')}",
        )
        for which, function in groups.items()
    ]


def read(logs: Iterable[Log], start: int, wanted: Filter) -> list[Entry]:
    """What is wanted of all that was logged from `start` on, by time. Raises CliError."""
    with aws_errors():
        events = [event for log in logs for event in log.events(start, wanted.pattern)]
    return [entry for entry in parsed(events, {}) if wanted(entry)]


def following(
    logs: Iterable[Log], start: int, wanted: Filter, *, pause: float
) -> Iterator[list[Entry]]:
    """Batches, of which some are empty, of what is logged from `start` on; `pause` in seconds.

    Each look begins a while before the newest line there is, as lines come late and out of order,
    and leaves out what was there before. It ends only with a CliError.
    """
    looks = [Look(log, start, start) for log in logs]
    invocations: dict[str, str] = {}
    reached = True
    while True:
        fresh: list[Event] = []
        with aws_errors():
            try:
                for look in looks:
                    fresh += look.again(wanted.pattern)
                reached = True
            except NO_ANSWER:
                if reached:
                    stderr.print("The logs cannot be reached. Trying on.", style="dim")
                reached = False
        yield [entry for entry in parsed(fresh, invocations) if wanted(entry)]
        time.sleep(pause)


@dataclass
class Look:
    """How far a log was followed: from `first` on, next from `start` on, without the `seen`."""

    log: Log
    first: int
    start: int
    seen: dict[str, int] = field(default_factory=dict)

    def again(self, pattern: str) -> list[Event]:
        """What has come since the last time."""
        found = list(self.log.events(self.start, pattern))
        fresh = [event for event in found if event.id not in self.seen]
        self.seen |= {event.id: event.timestamp for event in found}
        self.start = max(self.first, max(self.seen.values(), default=0) - LATE_MS)
        self.seen = {key: at for key, at in self.seen.items() if at >= self.start}
        return fresh


def of_request(logs: Iterable[Log], request: str, start: int) -> list[Entry]:
    """All that both logs have of one request, by time. `request` is the id that the visitor was
    shown, or Lambda's of either function. Raises CliError if there is nothing."""
    logs = list(logs)
    ids, asked = {request}, set[str]()
    hits: dict[tuple[int, str], list[int]] = defaultdict(list)
    with aws_errors():
        while unasked := sorted(ids - asked):
            asked.add(unasked[0])
            for number, log in enumerate(logs):
                for event in log.events(start, f'"{unasked[0]}"'):
                    if unasked[0] in event.message:
                        hits[number, event.stream].append(event.timestamp)
                        ids |= _ids(event.message)
        found: list[Entry] = []
        for (number, stream), times in hits.items():
            margin = FRONT_DOOR_MS if logs[number].function is Which.PROXY else 0
            entries = parsed(
                logs[number].events(
                    max(0, min(times) - margin),
                    logStreamNames=[stream],
                    endTime=max(times) + margin,
                ),
                {},
            )
            own = {entry.invocation for entry in entries if _names(entry, ids)} - {""}
            found += [entry for entry in entries if entry.invocation in own or _names(entry, ids)]
    if not found:
        raise CliError(
            f"No log has the request {request}. Logs are kept for LOG_RETENTION_DAYS; what was "
            "logged just now takes some seconds to get there."
        )
    return sorted(found, key=lambda entry: (entry.timestamp, entry.function))


def _ids(message: str) -> set[str]:
    """The ids of a request in the front door's line about it."""
    said = fields_of(message)
    if not is_front_doors(said):
        return set()
    return {str(said[name]) for name in ("requestId", "invocationId") if said.get(name)}


def _names(entry: Entry, ids: set[str]) -> bool:
    return any(each in entry.raw for each in ids)


def _show(entry: Entry, *, as_json: bool) -> None:
    if as_json:
        stdout.out(json.dumps(entry.as_json()), highlight=False)
    else:
        stdout.print(line_of(entry, now()), soft_wrap=True)
