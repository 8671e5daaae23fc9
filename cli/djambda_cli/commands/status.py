"""`djambda status` and `djambda open`: what is deployed, how it is, and where.

AWS is asked at that moment, in a way that wakes neither Django nor the database. What cannot be
found out, as where a permission is missing, is shown as unknown with the reason; the rest is there.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.text import Text

from djambda_cli.aws import stacks
from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.log_entries import LogEntry as Entry
from djambda_cli.aws.log_reader import LogFilter, read_entries
from djambda_cli.aws.versions import History, Version
from djambda_cli.deployment import Deployment, use_deployment
from djambda_cli.errors import CliError
from djambda_cli.operations.history import require_history
from djambda_cli.operations.log_rendering import render_entry
from djambda_cli.operations.logs import deployment_logs
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stderr, stdout
from djambda_common.names import MAINTENANCE_VARIABLE

LAST_ERRORS = 5
LONGEST_LINE = 160
INDENT = 14
ERRORS_WITHIN = timedelta(hours=24)

# Dollars in us-east-1, as in docs/costs.md.
PER_REQUEST = 0.20 / 1_000_000
PER_GB_SECOND = {"x86_64": 0.0000166667, "arm64": 0.0000133334}
PER_API_REQUEST = 3.50 / 1_000_000
PER_ACU_HOUR = 0.12

SECONDS_A_DAY, SECONDS_AN_HOUR, SECONDS_A_MINUTE = 86_400, 3_600, 60

PAUSING = {
    "Successfully paused": "paused",
    "Initiated resume": "resuming",
    "Successfully resumed": "awake",
    "Initiated pause": "awake",
    "Pause was canceled": "awake",
}
"""How RDS-EVENT-0370 to 0374 begin, and what the database is from then on:
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Events.Messages.html"""
EVENT_MINUTES = 14 * 24 * 60
"""RDS keeps events for that long."""


@dataclass(frozen=True)
class Stack:
    """The stack: CloudFormation's status, when it was changed last, and whether it is now."""

    name: str
    status: str
    changed: datetime
    is_busy: bool


@dataclass(frozen=True)
class Database:
    """`state` is awake, paused, resuming, or RDS's own word for it, from `since` on.

    `acu` is its size a moment ago. None is what nobody knows.
    """

    cluster: str
    state: str
    since: datetime | None
    acu: float | None


@dataclass(frozen=True)
class Usage:
    """A function's month so far: requests, failed ones, seconds; and its size, memory in MB."""

    invocations: int
    errors: int
    seconds: float
    memory: int
    architecture: str

    @property
    def dollars(self) -> float:
        """What Lambda charges for it."""
        per_second = PER_GB_SECOND[self.architecture] * self.memory / 1024
        return self.invocations * PER_REQUEST + self.seconds * per_second


@dataclass(frozen=True)
class Month:
    """The calendar month so far, as AWS counts (UTC). `acu_hours` is None where nobody measures."""

    django: Usage
    front_door: Usage
    acu_hours: float | None

    @property
    def dollars(self) -> dict[str, float]:
        """Its costs so far, by service. Storage, logs and free amounts do not count."""
        return {
            "database": round((self.acu_hours or 0) * PER_ACU_HOUR, 4),
            "lambda": round(self.django.dollars + self.front_door.dollars, 4),
            "api": round(self.front_door.invocations * PER_API_REQUEST, 4),
        }


@dataclass(frozen=True)
class Unknown:
    """What could not be found out."""

    reason: str


@dataclass(frozen=True)
class Status:
    """All of it. `closed`: for maintenance. `errors`: those of the last day, by time."""

    url: str
    stack: Stack | None
    history: History | Unknown
    database: Database | Unknown
    closed: bool | Unknown
    month: Month | Unknown
    errors: list[Entry] | Unknown

    def as_json(self) -> dict[str, Any]:
        """For scripts; what is unknown is null."""
        past, month, found = self.history, self.month, self.errors
        return {
            "url": self.url,
            "stack": asdict(self.stack) if self.stack else None,
            "live": None if isinstance(past, Unknown) else past.live.as_json(),
            "newer": None if isinstance(past, Unknown) else [one.as_json() for one in past.newer],
            "database": None if isinstance(self.database, Unknown) else asdict(self.database),
            "maintenance": None if isinstance(self.closed, Unknown) else self.closed,
            "month": None
            if isinstance(month, Unknown)
            else asdict(month) | {"dollars": month.dollars},
            "errors": None if isinstance(found, Unknown) else [one.as_json() for one in found],
        }


def status(*, local: Local = False, as_json: Json = False, folder: Folder = DEFAULT_FOLDER) -> None:
    """Show what is deployed and how it is: version, database, errors, this month's use.

    Example: `djambda status`
    """
    deployment = use_deployment(local=local, folder=folder)
    with stderr.status("Asking AWS" if not local else "Asking the local cloud"):
        found = status_of(deployment)
    if as_json:
        stdout.print_json(json.dumps(found.as_json(), default=datetime.isoformat))
    else:
        stdout.print(
            _page(found, datetime.now().astimezone(), deployment, stdout.width), soft_wrap=True
        )


def open(  # noqa: A001 (the verb's name)
    *,
    admin: Annotated[bool, typer.Option("--admin", help="The admin instead.")] = False,
    local: Local = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Open the site in the browser, and print its address.

    Example: `djambda open --admin`
    """
    url = use_deployment(local=local, folder=folder).url + ("admin/" if admin else "")
    stdout.print(url, soft_wrap=True)
    if typer.launch(url):
        stderr.print("No browser could be started here.", style="dim")


def status_of(deployment: Deployment) -> Status:
    """Ask for everything at once. Raises CliError if there is no stack."""
    # Clients may be used by several threads, but not made by them.
    clients = {
        name: deployment.client(name) for name in ("cloudformation", "lambda", "rds", "cloudwatch")
    }
    logs = deployment_logs(deployment)
    url, stack = deployment.url, stack_of(deployment)
    since = datetime.now().astimezone() - ERRORS_WITHIN
    with ThreadPoolExecutor() as pool:
        history = pool.submit(_known, lambda: require_history(deployment, clients["lambda"]))
        database = pool.submit(_known, lambda: database_of(deployment, clients))
        closed = pool.submit(_known, lambda: _is_closed(deployment, clients["lambda"]))
        month = pool.submit(_known, lambda: month_of(deployment, clients))
        found = pool.submit(
            _known,
            lambda: distinct(
                read_entries(logs, int(since.timestamp() * 1000), LogFilter(errors=True))
            ),
        )
    return Status(
        url=url,
        stack=stack,
        history=history.result(),
        database=database.result(),
        closed=closed.result(),
        month=month.result(),
        errors=found.result(),
    )


def distinct(entries: list[Entry]) -> list[Entry]:
    """Errors without Lambda's own words about invocations that have said what was wrong."""
    explained = {entry.invocation for entry in entries if not entry.is_platform}
    return [
        entry for entry in entries if not entry.is_platform or entry.invocation not in explained
    ]


def stack_of(deployment: Deployment) -> Stack | None:
    """The stack, None if there is none. Raises CliError."""
    found = stacks.describe(deployment.client("cloudformation"), deployment.stack)
    if found is None or found["StackStatus"] == stacks.UNDER_REVIEW:
        return None
    changed = found.get("LastUpdatedTime", found["CreationTime"])
    return Stack(found["StackName"], found["StackStatus"], changed, stacks.is_busy(found))


def database_of(deployment: Deployment, clients: dict[str, Any]) -> Database:
    """How the stack's cluster is. Raises CliError."""
    with aws_errors():
        cluster_id = _cluster(deployment, clients["cloudformation"])
        [cluster] = clients["rds"].describe_db_clusters(DBClusterIdentifier=cluster_id)[
            "DBClusters"
        ]
        sizes = _datapoints(
            clients["cloudwatch"],
            ("AWS/RDS", "ServerlessDatabaseCapacity", "DBClusterIdentifier", cluster_id),
            "Average",
            since=datetime.now(UTC) - timedelta(minutes=10),
            period=SECONDS_A_MINUTE,
        )
        acu = sizes[-1] if sizes else None
        if cluster["Status"] != "available":
            return Database(cluster_id, cluster["Status"], None, acu)
        events = [
            event
            for member in cluster.get("DBClusterMembers", [])
            for page in clients["rds"]
            .get_paginator("describe_events")
            .paginate(
                SourceType="db-instance",
                SourceIdentifier=member["DBInstanceIdentifier"],
                Duration=EVENT_MINUTES,
            )
            for event in page["Events"]
        ]
    return _asleep_or_awake(cluster_id, events, acu)


def month_of(deployment: Deployment, clients: dict[str, Any]) -> Month:
    """What was used since the month began. Raises CliError."""
    began = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    with aws_errors():
        cluster = _cluster(deployment, clients["cloudformation"])
        hours = _datapoints(
            clients["cloudwatch"],
            ("AWS/RDS", "ServerlessDatabaseCapacity", "DBClusterIdentifier", cluster),
            "Average",
            since=began,
            period=SECONDS_AN_HOUR,
        )
        django, front_door = (
            _usage(clients, function, began) for function in (deployment.function, deployment.proxy)
        )
    return Month(django, front_door, round(sum(hours), 2) if hours else None)


def _usage(clients: dict[str, Any], function: str, began: datetime) -> Usage:
    configuration = clients["lambda"].get_function_configuration(FunctionName=function)
    invocations, failed, milliseconds = (
        sum(
            _datapoints(
                clients["cloudwatch"],
                ("AWS/Lambda", metric, "FunctionName", function),
                "Sum",
                since=began,
                period=SECONDS_A_DAY,
            )
        )
        for metric in ("Invocations", "Errors", "Duration")
    )
    return Usage(
        int(invocations),
        int(failed),
        round(milliseconds / 1000, 1),
        configuration["MemorySize"],
        configuration["Architectures"][0],
    )


def _datapoints(
    client: Any,
    metric: tuple[str, str, str, str],
    statistic: str,
    *,
    since: datetime,
    period: int,
) -> list[float]:
    """A metric (namespace, name, dimension, its value) by time, one number for each period (s)."""
    namespace, name, dimension, value = metric
    found = client.get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": dimension, "Value": value}],
        StartTime=since,
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=period,
        Statistics=[statistic],
    )
    return [
        each[statistic] for each in sorted(found["Datapoints"], key=lambda each: each["Timestamp"])
    ]


def _cluster(deployment: Deployment, client: Any) -> str:
    pages = client.get_paginator("list_stack_resources").paginate(StackName=deployment.stack)
    return next(
        str(resource["PhysicalResourceId"])
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::RDS::DBCluster"
    )


def _asleep_or_awake(cluster: str, events: list[Any], acu: float | None) -> Database:
    """RDS calls a paused cluster available too: what happened to it last tells, or its size."""
    for event in sorted(events, key=lambda event: event["Date"], reverse=True):
        state = next(
            (PAUSING[begin] for begin in PAUSING if event["Message"].startswith(begin)), ""
        )
        if state:
            return Database(cluster, state, event["Date"], acu)
    state = "available" if acu is None else "awake" if acu else "paused"
    return Database(cluster, state, None, acu)


def _is_closed(deployment: Deployment, client: Any) -> bool:
    with aws_errors():
        found = client.get_function_configuration(FunctionName=deployment.proxy)
    return bool(found.get("Environment", {}).get("Variables", {}).get(MAINTENANCE_VARIABLE))


def _known[T](ask: Callable[[], T]) -> T | Unknown:
    try:
        return ask()
    except CliError as error:
        return Unknown(" ".join([*str(error).split(), *error.output.split()]))


def _page(found: Status, present: datetime, deployment: Deployment, width: int) -> Text:
    """The status for people, in lines of `width`. Times are in the zone of `present`."""
    past, month = found.history, found.month
    rows: dict[str, Text | None] = {"Site": Text(found.url, style=f"link {found.url}")}
    if isinstance(past, Unknown):
        rows |= {"Version": _unknown(past)}
    else:
        rows |= {"Version": _version(past.live, present), "Function": _function(past.live)}
        newer = [_version(each, present) for each in past.newer]
        rows |= {"Not live": Text("\n").join(newer) if newer else None}
    rows |= {
        "Maintenance": _closed(found.closed),
        "Stack": _stack(found.stack, present) if found.stack else None,
        "Database": _database(found.database, present),
    }
    if isinstance(month, Unknown):
        rows |= {"This month": _unknown(month)}
    else:
        rows |= {"Requests": _requests(month), "Costs": _costs(month)}
    rows |= {"Errors": _errors(found.errors)}
    page = Text.assemble((deployment.stack, "bold"), f" {deployment.location}\n")
    for name, value in rows.items():
        if value is not None:
            page.append(f"\n  {name}".ljust(INDENT + 1), "dim")
            lines = value.wrap(stdout, max(INDENT, width - INDENT))
            page.append_text(Text("\n" + " " * INDENT).join(lines))
    last = [] if isinstance(found.errors, Unknown) else found.errors[-LAST_ERRORS:]
    for entry in last:
        page.append("\n").append_text(_one_line(entry, present, width))
    return page


def _one_line(entry: Entry, present: datetime, width: int) -> Text:
    line = render_entry(entry, present).split()[0]
    line.truncate(min(LONGEST_LINE, width - 4), overflow="ellipsis")
    return Text("    ").append_text(line)


def _unknown(value: Unknown) -> Text:
    return Text(f"unknown: {value.reason}", style="yellow")


def _version(version: Version, present: datetime) -> Text:
    return Text.assemble(
        (str(version.number), "bold"),
        f", published {ago(version.when, present)}, build {version.build_id or 'unknown'}, "
        f"commit {version.short_commit}",
    )


def _closed(closed: bool | Unknown) -> Text | None:
    if isinstance(closed, Unknown):
        return _unknown(closed)
    return Text("on: visitors get 503", style="yellow") if closed else None


def _stack(stack: Stack, present: datetime) -> Text:
    style = "red" if "FAILED" in stack.status else "yellow" if stack.is_busy else ""
    words = stack.status.lower().replace("_", " ")
    if stack.status == "UPDATE_ROLLBACK_COMPLETE":
        style, words = "yellow", "the last deploy failed, and is undone"
    return Text.assemble((words, style), f", {ago(stack.changed, present)}")


def _function(version: Version) -> Text:
    layers = [":".join(layer.rsplit(":", 2)[-2:]) for layer in version.layers]
    return Text(
        f"{version.architecture}, {version.memory} MB, {version.timeout} s at most, "
        f"layer {', '.join(layers) or 'none'}"
    )


def _database(database: Database | Unknown, present: datetime) -> Text:
    if isinstance(database, Unknown):
        return _unknown(database)
    style = {"awake": "green", "available": "green", "paused": "blue"}.get(database.state, "yellow")
    size = f", {database.acu:g} ACU" if database.acu else ""
    since = f", since {ago(database.since, present)}" if database.since else ""
    return Text.assemble((database.state, style), size, since)


def _requests(month: Month) -> Text:
    named = {"Django": month.django, "front door": month.front_door}
    if not month.front_door.invocations:  # So it is in the local cloud, which does not count them.
        del named["front door"]
    return Text(
        "; ".join(
            f"{name} {usage.invocations:,}, {usage.errors:,} failed"
            for name, usage in named.items()
        )
        + " (this month)"
    )


def _costs(month: Month) -> Text:
    parts = month.dollars
    hours = "" if month.acu_hours is None else f" ({month.acu_hours:g} ACU-hours)"
    return Text.assemble(
        f"about ${sum(parts.values()):.2f}: database ${parts['database']:.2f}{hours}, "
        f"Lambda ${parts['lambda']:.2f}, API ${parts['api']:.2f}",
        (" (this month, at us-east-1's prices, without storage)", "dim"),
    )


def _errors(found: list[Entry] | Unknown) -> Text:
    if isinstance(found, Unknown):
        return _unknown(found)
    if not found:
        return Text("none in 24 hours", style="green")
    more = f", the last {LAST_ERRORS}:" if len(found) > LAST_ERRORS else ":"
    return Text.assemble((f"{len(found)} in 24 hours", "red"), more)


def ago(moment: datetime, present: datetime) -> str:
    """How long ago, and when: "5 minutes ago (09:30)"."""
    seconds = max(0, (present - moment).total_seconds())
    at = moment.astimezone(present.tzinfo)
    when = f"{at:%H:%M}" if at.date() == present.date() else f"{at:%Y-%m-%d %H:%M}"
    for unit, length in {"day": SECONDS_A_DAY, "hour": SECONDS_AN_HOUR, "minute": 60}.items():
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' * (number > 1)} ago ({when})"
    return f"just now ({when})"
