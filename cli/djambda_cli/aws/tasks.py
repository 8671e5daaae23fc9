"""The records of tasks in the assets bucket, and sending a failed task again.

`common/djambda_common/task_record.py` describes the records, which the runtime writes.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from djambda_cli.aws.errors import aws_errors
from djambda_common.names import FAILED_TASKS_PREFIX, TASKS_ALIAS, TASKS_PREFIX
from djambda_common.stored_object import find_object
from djambda_common.task_record import Record, record_key

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

SUFFIX = ".json"
LISTED = 100
"""The number of tasks whose records are loaded for a list."""


@dataclass(frozen=True)
class TaskList:
    """The records of the newest tasks, and the number of all of them."""

    records: list[Record]
    total: int


def has_tasks(client: "LambdaClient", function: str) -> bool:
    """Return whether a deployed function runs tasks. Raises `CliError`."""
    with aws_errors():
        try:
            client.get_alias(FunctionName=function, Name=TASKS_ALIAS)
        except client.exceptions.ResourceNotFoundException:
            return False
    return True


def load_tasks(s3: "S3Client", bucket: str, ids: Sequence[str]) -> TaskList:
    """Return the records of the first tasks. Raises `CliError`."""
    with aws_errors(), ThreadPoolExecutor() as pool:
        records = pool.map(partial(_load, s3, bucket), ids[:LISTED])
        return TaskList([record for record in records if record], len(ids))


def load_task(s3: "S3Client", bucket: str, task_id: str) -> Record | None:
    """Return a task's record, or None if there is none. Raises `CliError`."""
    with aws_errors():
        return _load(s3, bucket, task_id)


def failed_ids(s3: "S3Client", bucket: str) -> list[str]:
    """Return the ids of the failed tasks, the last failure first. Raises `CliError`."""
    return _newest(s3, bucket, FAILED_TASKS_PREFIX)


def all_ids(s3: "S3Client", bucket: str) -> list[str]:
    """Return the ids of all recorded tasks, the last change first. Raises `CliError`."""
    names = _newest(s3, bucket, TASKS_PREFIX)
    return [name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)]


def send_again(client: "LambdaClient", function: str, task_id: str) -> None:
    """Let the live version run a failed task again. Raises `CliError`."""
    with aws_errors():
        client.invoke(
            FunctionName=function,
            Qualifier=TASKS_ALIAS,
            InvocationType="Event",
            Payload=json.dumps({"task": {"retry": task_id}}).encode(),
        )


def _newest(s3: "S3Client", bucket: str, prefix: str) -> list[str]:
    """Return the names of the objects right below a prefix, the newest first."""
    with aws_errors():
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, Delimiter="/"
        )
        objects: list[Any] = [object_ for page in pages for object_ in page.get("Contents", ())]
    objects.sort(key=lambda object_: object_["LastModified"], reverse=True)
    return [object_["Key"].removeprefix(prefix) for object_ in objects]


def _load(s3: "S3Client", bucket: str, task_id: str) -> Record | None:
    found = find_object(s3, bucket, record_key(task_id))
    record: Record | None = json.loads(found["Body"].read()) if found else None
    return record
