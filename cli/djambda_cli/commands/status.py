"""`djambda status`: show what is deployed, its state and its usage."""

import json
from collections.abc import Callable
from datetime import datetime

from rich.text import Text

from djambda_cli.aws.database import Database
from djambda_cli.aws.log_entries import LogEntry
from djambda_cli.aws.schedules import Schedule
from djambda_cli.aws.usage import MonthlyUsage
from djambda_cli.aws.versions import Version
from djambda_cli.deployment import use_deployment
from djambda_cli.operations.log_rendering import render_entry, render_error_count
from djambda_cli.operations.schedules import FAILURES, outcome
from djambda_cli.operations.status import (
    ERROR_SINCE,
    SHOW_ERRORS,
    DeploymentStatus,
    StackStatus,
    Unavailable,
    collect_status,
)
from djambda_cli.operations.times import ago
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stderr, stdout

SHOWN_ERRORS = 5
MAX_LINE = 160
INDENT = 14


def status(*, local: Local = False, as_json: Json = False, folder: Folder = DEFAULT_FOLDER) -> None:
    """Show the live version, the database, errors and this month's usage.

    Example: `djambda status`
    """
    deployment = use_deployment(local=local, folder=folder)
    with stderr.status("Loading the status"):
        collected = collect_status(deployment)
    if as_json:
        stdout.print_json(json.dumps(collected.as_json(), default=datetime.isoformat))
    else:
        title = Text.assemble((deployment.stack, "bold"), f" {deployment.location}\n")
        present = datetime.now().astimezone()
        table = render_status(collected, present, stdout.width, deployment.command(SHOW_ERRORS))
        stdout.print(title + table, soft_wrap=True)


def render_status(
    status: DeploymentStatus, present: datetime, width: int, show_errors: str
) -> Text:
    """Return a table wrapped to `width`, and the last errors. Times have the zone of `present`.

    `show_errors` is the command line that lists all errors.
    """
    table = Text()
    for label, value in _rows(status, present, show_errors).items():
        table.append(f"\n  {label}".ljust(INDENT + 1), "dim")
        lines = value.wrap(stdout, max(INDENT, width - INDENT))
        table.append_text(Text("\n" + " " * INDENT).join(lines))
    if not isinstance(status.errors, Unavailable):
        for entry in status.errors[-SHOWN_ERRORS:]:
            table.append("\n").append_text(_first_line(entry, present, width))
    return table


def _rows(status: DeploymentStatus, present: datetime, show_errors: str) -> dict[str, Text]:
    history, month = status.history, status.month
    rows = {"Site": Text(status.url, style=f"link {status.url}")}
    if status.admin_url:
        rows["Admin"] = Text(status.admin_url, style=f"link {status.admin_url}")
    if isinstance(history, Unavailable):
        rows["Version"] = _unavailable(history)
    else:
        rows["Version"] = _version(history.live, present)
        rows["Function"] = _function(history.live)
        if history.newer:
            newer = [_version(version, present) for version in history.newer]
            rows["Not live"] = Text("\n").join(newer)
    if status.in_maintenance:
        closed = Text("on: visitors get a 503 page", style="yellow")
        rows["Maintenance"] = _shown(status.in_maintenance, lambda _: closed)
    if status.stack:
        rows["Stack"] = _stack(status.stack, present)
    if status.superuser:
        password = f"first password in SSM: {status.password_parameter}"
        rows["Superuser"] = Text(f"{status.superuser}, {password}")
    if status.replaced_settings:
        rows["Replaced"] = Text("\n").join(map(Text, status.replaced_settings))
    rows["Database"] = _shown(status.database, lambda database: _database(database, present))
    if isinstance(month, Unavailable):
        rows["This month"] = _unavailable(month)
    else:
        rows["Requests"] = _requests(month)
        rows["Costs"] = _costs(month)
    if status.schedules:
        rows["Schedules"] = _shown(status.schedules, lambda all_: _schedules(all_, present))
    rows["Errors"] = _shown(status.errors, lambda errors: _errors(errors, show_errors))
    return rows


def _first_line(entry: LogEntry, present: datetime, width: int) -> Text:
    line = render_entry(entry, present).split()[0]
    line.truncate(min(MAX_LINE, width - 4), overflow="ellipsis")
    return Text("    ").append_text(line)


def _shown[T](part: T | Unavailable, render: Callable[[T], Text]) -> Text:
    return _unavailable(part) if isinstance(part, Unavailable) else render(part)


def _unavailable(part: Unavailable) -> Text:
    return Text(f"unknown: {part.reason}", style="yellow")


def _version(version: Version, present: datetime) -> Text:
    return Text.assemble(
        (str(version.number), "bold"),
        f", published {ago(version.when, present)}, build {version.build_id or 'unknown'}, "
        f"commit {version.short_commit}",
    )


def _function(version: Version) -> Text:
    layers = [":".join(layer.rsplit(":", 2)[-2:]) for layer in version.layers]
    return Text(
        f"{version.runtime}, {version.architecture}, {version.memory} MB, "
        f"timeout {version.timeout} s, layer {', '.join(layers) or 'none'}"
    )


def _stack(stack: StackStatus, present: datetime) -> Text:
    style = "red" if "FAILED" in stack.status else "yellow" if stack.is_busy else ""
    words = stack.status.lower().replace("_", " ")
    if stack.status == "UPDATE_ROLLBACK_COMPLETE":
        style, words = "yellow", "the last deploy failed and was rolled back"
    return Text.assemble((words, style), f", {ago(stack.changed, present)}")


def _database(database: Database, present: datetime) -> Text:
    style = {"awake": "green", "available": "green", "paused": "blue"}.get(database.state, "yellow")
    size = f", {database.acu:g} ACU" if database.acu else ""
    since = f", since {ago(database.since, present)}" if database.since else ""
    return Text.assemble((database.state, style), size, since)


def _requests(month: MonthlyUsage) -> Text:
    usage = {"Django": month.django, "proxy": month.proxy}
    if not month.proxy.invocations:  # The local cloud does not count them.
        del usage["proxy"]
    counts = [f"{name} {function.invocations:,}" for name, function in usage.items()]
    return Text(", ".join(counts) + " (this month)")


def _costs(month: MonthlyUsage) -> Text:
    dollars = month.dollars
    hours = "" if month.acu_hours is None else f" ({month.acu_hours:g} ACU-hours)"
    return Text.assemble(
        f"about ${sum(dollars.values()):.2f}: database ${dollars['database']:.2f}{hours}, "
        f"Lambda ${dollars['lambda']:.2f}, API ${dollars['api']:.2f}",
        (" (this month, at prices of us-east-1, without storage)", "dim"),
    )


def _schedules(schedules: list[Schedule], present: datetime) -> Text:
    """Return the number of schedules, and a line for each whose last run has failed."""
    lines = []
    for schedule in schedules:
        result = outcome(schedule.last, present)
        if schedule.last and result in FAILURES:
            code = schedule.last.exit_code
            lines.append(
                Text.assemble(
                    f"{schedule.name}: ",
                    (result.value, "red"),
                    f" {ago(schedule.last.started, present)}",
                    f" (exit code {code})" if code else "",
                )
            )
    count = f"{len(schedules)}, " + (f"{len(lines)} failed" if lines else "none failed")
    return Text("\n").join([Text(count, "red" if lines else "green"), *lines])


def _errors(errors: list[LogEntry], show_errors: str) -> Text:
    count = Text(
        f"{render_error_count(len(errors))} in the last {ERROR_SINCE}",
        style="red" if errors else "green",
    )
    return Text.assemble(count, f". Show them: {show_errors}") if errors else count
