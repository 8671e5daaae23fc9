"""`djambda schedules list|run`: the project's schedules, and running one of them now."""

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from djambda_cli.aws.schedules import Schedule
from djambda_cli.deployment import use_deployment, verify_target
from djambda_cli.operations import schedules as operations
from djambda_cli.operations.live_run import show_live_run
from djambda_cli.operations.schedules import FAILURES, Outcome
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stdout


class Action(StrEnum):
    """The action on the schedules."""

    LIST = "list"
    RUN = "run"


def schedules(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    name: Annotated[str, typer.Argument(help="The schedule to run.")] = "",
    *,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """List the project's schedules, or run one of them now.

    `run` shows the output and exits with the command's exit code, like `djambda manage`. It does
    not start a schedule whose last run is still in progress.

    Example: `djambda schedules run clearsessions`
    """
    if problem := usage_problem(action, name, as_json=as_json):
        raise typer.BadParameter(problem)
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    if action is Action.RUN:
        operations.require_name(deployment, name)
        [schedule] = operations.loader(deployment, [name])()
        event = {key: value for key, value in schedule.event.items() if key != "time"}
        raise typer.Exit(show_live_run(deployment, event))
    find_names = operations.schedule_names if as_json else operations.require_names
    loaded = operations.loader(deployment, find_names(deployment))()
    present = datetime.now().astimezone()
    if as_json:
        stdout.print_json(json.dumps([operations.as_json(each, present) for each in loaded]))
    else:
        stdout.print(render_schedules(loaded, present))


def usage_problem(action: Action, name: str, *, as_json: bool) -> str:
    """Return the reason why the arguments cannot be used, "" if they can."""
    if action is Action.RUN and not name:
        return "Name the schedule to run. To list them: djambda schedules list"
    if action is Action.RUN and as_json:
        return "--json belongs to `list`: `run` prints the command's output."
    if action is Action.LIST and name:
        return "`list` takes no name."
    return ""


def render_schedules(loaded: Sequence[Schedule], present: datetime) -> Table:
    """Return a table of schedules. Times have the zone of `present`."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("Name", "Runs", "At", "Zone", "Next run", "Last run"):
        table.add_column(heading, overflow="fold")
    for schedule in loaded:
        following = operations.next_run(schedule, present)
        table.add_row(
            Text(schedule.name, "bold"),
            Text(operations.describe_command(schedule)),
            Text(schedule.expression),
            Text(schedule.zone),
            Text(_local(following, present) if following else "none"),
            _last_run(schedule, present),
        )
    return table


def _last_run(schedule: Schedule, present: datetime) -> Text:
    result = operations.outcome(schedule.last, present)
    style = {Outcome.SUCCEEDED: "green"} | dict.fromkeys(FAILURES, "red")
    text = Text(result.value, style.get(result, ""))
    if schedule.last:
        if schedule.last.exit_code:
            text.append(f" (exit code {schedule.last.exit_code})")
        text = Text(f"{_local(schedule.last.started, present)} ").append_text(text)
    return text


def _local(moment: datetime, present: datetime) -> str:
    return f"{moment.astimezone(present.tzinfo):%Y-%m-%d %H:%M}"
