"""The tasks of a deployment: finding one by its id, and what its record says."""

import re
from datetime import datetime
from typing import Any

from djambda_cli.aws.tasks import has_tasks, load_task
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_common.task_record import FAILED, Record

TASK_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def require_tasks(deployment: Deployment) -> None:
    """Raise `CliError` unless the deployment runs tasks in the background."""
    if not has_tasks(deployment.client("lambda"), deployment.function):
        raise CliError(
            f"{deployment.stack} {deployment.location} runs no tasks in the background. Add "
            f'tasks = "direct" to djambda.toml, then run {deployment.command("deploy")}'
        )


def require_task(deployment: Deployment, s3: Any, task_id: str) -> Record:
    """Return the record of a task. Raises `CliError` if there is none."""
    listing = deployment.command("tasks list --all")
    if not TASK_ID.fullmatch(task_id):
        raise CliError(f"{task_id} is not the id of a task. To list the tasks: {listing}")
    record = load_task(s3, deployment.outputs["BucketName"], task_id)
    if record is None:
        raise CliError(
            f"There is no record of task {task_id} {deployment.location}. Records are deleted "
            f"after 30 days. To list the tasks: {listing}"
        )
    return record


def require_failed(deployment: Deployment, record: Record) -> None:
    """Raise `CliError` unless a task has failed."""
    if record["status"] != FAILED:
        raise CliError(
            f"Task {record['id']} was not sent again: it has not failed, its status is "
            f"{record['status']}. Show it: {deployment.command('tasks show ' + record['id'])}"
        )


def last_error(record: Record) -> str:
    """Return the last line of a task's last error, "" if it has none."""
    if not record["errors"]:
        return ""
    error = record["errors"][-1]
    lines = str(error["traceback"]).strip().splitlines()
    return lines[-1] if lines else str(error["exception_class"])


def last_change(record: Record) -> datetime | None:
    """Return the time at which a task has finished, started, or been enqueued."""
    for name in ("finished_at", "started_at", "enqueued_at"):
        if record.get(name):
            return datetime.fromisoformat(record[name])
    return None
