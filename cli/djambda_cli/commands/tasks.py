"""`djambda tasks list|show|retry`: background tasks that have failed, and the others."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from djambda_cli.aws import tasks as records
from djambda_cli.aws.tasks import TaskList
from djambda_cli.deployment import Deployment, use_deployment, verify_target
from djambda_cli.operations.confirm import confirmation
from djambda_cli.operations.tasks import (
    last_change,
    last_error,
    require_failed,
    require_task,
    require_tasks,
)
from djambda_cli.operations.times import ago
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stderr, stdout
from djambda_common.task_record import FAILED, SUCCESSFUL, Record

STYLES = {FAILED: "red", SUCCESSFUL: "green"}
SEPARATE = {"id", "errors"}
"""The fields of a record that are not shown as a line `name  value`."""


class Action(StrEnum):
    """The action on the tasks."""

    LIST = "list"
    SHOW = "show"
    RETRY = "retry"


def tasks(  # noqa: PLR0913 (one parameter per option)
    action: Annotated[Action, typer.Argument(help="What to do.")],
    task_id: Annotated[
        str, typer.Argument(metavar="ID", help="The task to show or to retry.")
    ] = "",
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="List all recorded tasks, not only those that failed.")
    ] = False,
    all_failed: Annotated[
        bool, typer.Option("--all-failed", help="Retry all tasks that failed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """List the background tasks that failed, show one with its tracebacks, or retry it.

    Records of tasks are kept for 30 days. A retried task runs in the live version, with its
    original arguments.

    Example: `djambda tasks retry --all-failed`
    """
    if problem := usage_problem(action, task_id, everything=everything, all_failed=all_failed):
        raise typer.BadParameter(problem)
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    require_tasks(deployment)
    s3, bucket = deployment.client("s3"), deployment.outputs["BucketName"]
    present = datetime.now().astimezone()
    match action:
        case Action.LIST:
            find = records.all_ids if everything else records.failed_ids
            listed = records.load_tasks(s3, bucket, find(s3, bucket))
            print_list(listed, present, everything=everything, as_json=as_json)
        case Action.SHOW:
            record = require_task(deployment, s3, task_id)
            if as_json:
                stdout.print_json(json.dumps(record))
            else:
                stdout.print(render_task(record, present), soft_wrap=True)
        case Action.RETRY:
            ids = records.failed_ids(s3, bucket) if all_failed else [task_id]
            if all_failed and ids:
                number = f"{len(ids)} failed task{'s' * (len(ids) > 1)}"
                confirmation(given=yes, option="--yes")(f"Retry {number}?")
            elif not all_failed:
                require_failed(deployment, require_task(deployment, s3, task_id))
            retry(deployment, ids, as_json=as_json)


def usage_problem(action: Action, task_id: str, *, everything: bool, all_failed: bool) -> str:
    """Return the reason why the arguments cannot be used, "" if they can."""
    if action is not Action.LIST and everything:
        return "--all belongs to `list`."
    if action is not Action.RETRY and all_failed:
        return "--all-failed belongs to `retry`."
    if action is Action.LIST and task_id:
        return "`list` takes no id. To show a task: djambda tasks show ID"
    if action is Action.RETRY and bool(task_id) is all_failed:
        return "Give the id of a task, or --all-failed."
    if action is Action.SHOW and not task_id:
        return "Give the id of a task. To list those that failed: djambda tasks list"
    return ""


def retry(deployment: Deployment, ids: list[str], *, as_json: bool) -> None:
    """Send failed tasks again."""
    client = deployment.client("lambda")
    for task_id in ids:
        records.send_again(client, deployment.function, task_id)
        if not as_json:
            stdout.print(task_id)
    if as_json:
        stdout.print_json(json.dumps({"retried": ids}))
    elif ids:
        shown = ids[0] if len(ids) == 1 else "ID"
        stderr.print(f"Sent again. To show a task: {deployment.command(f'tasks show {shown}')}")
    else:
        stderr.print("No task has failed.")


def print_list(listed: TaskList, present: datetime, *, everything: bool, as_json: bool) -> None:
    """Print tasks for people, or for scripts."""
    if as_json:
        stdout.print_json(json.dumps(listed.records))
        return
    if listed.records:
        stdout.print(render_list(listed.records, present), soft_wrap=True)
    else:
        stderr.print("No task is recorded." if everything else "No task has failed.", style="dim")
    if listed.total > records.LISTED:
        stderr.print(f"The newest {records.LISTED} of {listed.total:,} tasks", style="dim")


def render_list(tasks: list[Record], present: datetime) -> Table:
    """Return a table of tasks. Times have the zone of `present`."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("ID", "Task", "Status", "When", "Attempts", "Last error"):
        table.add_column(heading, overflow="fold")
    for record in tasks:
        changed = last_change(record)
        table.add_row(
            Text(record["id"]),
            Text(str(record["task"])),
            Text(record["status"].lower(), STYLES.get(record["status"], "")),
            Text(ago(changed, present) if changed else "unknown"),
            Text(str(record["attempts"])),
            Text(last_error(record)),
        )
    return table


def render_task(record: Record, present: datetime) -> Text:
    """Return a task's fields, and the traceback of each attempt that failed."""
    page = Text.assemble((record["id"], "bold"), "\n\n")
    for name, value in record.items():
        if name not in SEPARATE:
            page.append(f"  {name.replace('_', ' ')}".ljust(20), "dim").append(f"{_text(value)}\n")
    for error in record["errors"]:
        when = ago(datetime.fromisoformat(error["at"]), present) if error["at"] else "unknown time"
        page.append(f"\n{error['exception_class']}", "red")
        page.append(f", {when}, request {error['request_id']}\n", "dim")
        page.append(f"{str(error['traceback']).rstrip()}\n")
    page.rstrip()
    return page


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
