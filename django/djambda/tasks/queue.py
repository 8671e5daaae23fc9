"""Run the tasks of SQS messages, which Lambda delivers one by one.

SQS delivers a message again when its visibility timeout is over, which is hours for the queue. So a
worker sets its own: the time it has, which matters if it is killed, and after a failure the pause
before the next attempt. A task that fails for the last time is recorded, and its message deleted.

Messages end in the dead-letter queue if Django could not start for all of their deliveries. Later
workers record them as failed.
"""

import json
import logging
import os
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from djambda.tasks import store
from djambda.tasks.sending import call_sqs
from djambda.tasks.worker import BadTaskEvent, TaskAttemptFailed, run_task
from djambda_common.aws_api import NotSent, OutcomeUnknown
from djambda_common.names import DEAD_TASKS_VARIABLE, TASKS_QUEUE_VARIABLE
from djambda_common.task_record import FINISHED, add_error, event_task_id, new_record

logger = logging.getLogger(__name__)

PAUSES = (60, 120)
"""Seconds before the second and the third attempt, as with Lambda's retries."""

MARGIN = 30
"""Seconds after the end of a worker's time, in which Lambda reports the outcome."""

CHECK_SECONDS = 300
BATCH = 10

_checked_at = 0.0


def run_messages(messages: list[dict[str, Any]], context: Any) -> dict[str, Any]:
    """Run the tasks of messages, and return those to deliver again as Lambda expects it.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    failed = [message["messageId"] for message in messages if not _run(message, context)]
    _record_dead_letters()
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _run(message: dict[str, Any], context: Any) -> bool:
    """Run a message's task; return False if it is to be delivered again."""
    try:
        task = json.loads(message["body"])["task"]
    except (KeyError, TypeError, ValueError):
        logger.exception("Message %s is not a task and is deleted", message["messageId"])
        return True
    deliveries = int(message["attributes"]["ApproximateReceiveCount"])
    _hide(message, context.get_remaining_time_in_millis() // 1000 + MARGIN)
    try:
        run_task(task, context, is_repeated=deliveries > 1)
    except BadTaskEvent:
        logger.exception("Message %s is not a task and is deleted", message["messageId"])
    except Exception as error:
        if isinstance(error, TaskAttemptFailed):
            logger.warning("%s", error)
        else:
            logger.exception("Message %s will be delivered again", message["messageId"])
        _hide(message, PAUSES[min(deliveries, len(PAUSES)) - 1])
        return False
    return True


def _hide(message: dict[str, Any], seconds: int) -> None:
    """Let SQS deliver a message again after this time, unless it is deleted before."""
    _call(
        "ChangeMessageVisibility",
        QueueUrl=os.environ[TASKS_QUEUE_VARIABLE],
        ReceiptHandle=message["receiptHandle"],
        VisibilityTimeout=seconds,
    )


def _record_dead_letters() -> None:
    """Record the tasks in the dead-letter queue as failed, if there are some."""
    global _checked_at  # noqa: PLW0603 (the time of this process's last check)
    now = time.time()
    if 0 <= now - _checked_at < CHECK_SECONDS:
        return
    _checked_at = now
    url = os.environ[DEAD_TASKS_VARIABLE]
    received = _call("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=BATCH)
    for message in received.get("Messages", []):
        try:
            _record_dead_letter(json.loads(message["Body"])["task"], message["MessageId"])
        except (KeyError, TypeError, ValueError):
            logger.exception("Dead letter %s is not a task and is deleted", message["MessageId"])
        except store.StoreError:
            logger.exception("Dead letter %s could not be recorded", message["MessageId"])
            continue
        _call("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def _record_dead_letter(task: dict[str, Any], message_id: str) -> None:
    task_id = event_task_id(task, message_id)
    record = store.load(task_id) or new_record(task_id, task)
    if record["status"] in FINISHED:
        return
    error: dict[str, str | None] = {
        "exception_class": "NotStarted",
        "traceback": "The task could not be started: Django did not start, or Lambda throttled the "
        "task. The function's log has the reason. Deploy a version that starts, or raise "
        "LAMBDA_CONCURRENCY or the account's limit of concurrent executions, then run: "
        f"djambda tasks retry {task_id}",
        "at": datetime.now(UTC).isoformat(),
        "request_id": None,
    }
    add_error(record, error, is_last=True)
    store.mark_failed(task_id, failed=True)
    store.save(record)  # The last, because it says that this message has been recorded.
    logger.error("Task %s (%s) has failed: it could not be started", task_id, record["task"])


def _call(action: str, **parameters: object) -> dict[str, Any]:
    """Call SQS; log a failure, which delays a task or a record, but loses none."""
    try:
        response = call_sqs(action, **parameters)
    except (NotSent, OutcomeUnknown) as error:
        logger.warning("SQS %s failed: %s", action, error)
        return {}
    if response.status != HTTPStatus.OK:
        logger.warning("SQS %s failed: HTTP %s", action, response.status)
        return {}
    result: dict[str, Any] = json.loads(response.body or b"{}")
    return result
