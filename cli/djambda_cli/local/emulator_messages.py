"""Keep the messages of the emulated SQS on the disk, and deliver them to functions as Lambda does.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from emulator_store import Store
from ministack.services import lambda_svc, sqs

KIND = "message"
RETRY_SECONDS = 1
"""A message that has failed is delivered again after this time, not after the one that it is hidden
for."""

type Message = dict[str, Any]
type Receive = Callable[..., list[Message]]


class Messages:
    """The messages of all queues."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stopping = False

    @property
    def are_processed(self) -> bool:
        """True if functions are processing messages."""
        return bool(lambda_svc._esm_inflight)

    def stop(self) -> None:
        """Deliver no further messages to functions."""
        self._stopping = True

    def restore(self) -> None:
        """Replace the messages of the saved state, which may be older, by those on the disk.

        Those that a function was processing are delivered again at once.
        """
        if not self._store.is_new:
            kept = self._store.load(KIND)
            with sqs._queues_lock:
                for url, queue in _queues():
                    own = {key: value for key, value in kept.items() if key.startswith(f"{url} ")}
                    saved = {_key(url, message): message for message in queue["messages"]}
                    queue["messages"] = [saved.get(key, own[key]) for key in own]
                    for message in queue["messages"]:
                        if message["receive_count"]:
                            message["visible_at"] = time.time()
        self.copy()

    def copy(self) -> None:
        """Keep all messages on the disk. Raises `sqlite3.Error`."""
        self._store.synchronize(KIND, _present)

    def with_copy(
        self, dispatch: Callable[..., Awaitable[dict[str, Any]]]
    ) -> Callable[..., Awaitable[dict[str, Any]]]:
        """Return SQS's API that responds when the disk has what it has changed."""

        async def dispatch_and_copy(*arguments: Any) -> dict[str, Any]:
            response = await dispatch(*arguments)
            self.copy()
            return response

        return dispatch_and_copy

    def unless_stopping(
        self, receive: Callable[..., list[Message]]
    ) -> Callable[..., list[Message]]:
        """Return the function that receives messages for functions, which stops in time."""
        return lambda *arguments: [] if self._stopping else receive(*arguments)

    def run_batch(
        self, _mapping: Any, function: Any, event: Any, batch: list[Message], url: str, _name: str
    ) -> None:
        """Invoke a function with messages. Delete them, and deliver those that have failed again.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
        """
        result = lambda_svc._execute_function(function, event)
        delivered = {message["id"] for message in batch}
        failed = delivered if result.get("error") else _failures(result["body"])
        handles = {message["receipt_handle"] for message in batch if message["id"] not in failed}
        sqs._delete_messages_for_esm(url, handles)
        with sqs._queues_lock:
            for message in sqs._get_q(url)["messages"]:
                if message["id"] in delivered:
                    message["visible_at"] = time.time() + RETRY_SECONDS
                    message["receive_count"] -= self._stopping  # It may have been interrupted.
        self.copy()


def use_messages(store: Store) -> Messages:
    """Replace the emulator's own delivery, and keep what its API and the delivery change."""
    messages = Messages(store)
    # The emulator finds queues by their URLs, which must not change with this cloud's port.
    sqs.DEFAULT_PORT = "4566"
    sqs._CANONICAL_NETLOC = f"{sqs.DEFAULT_HOST}:{sqs.DEFAULT_PORT}"
    sqs._dispatch = messages.with_copy(sqs._dispatch)
    sqs._receive_messages_for_esm = messages.unless_stopping(sqs._receive_messages_for_esm)
    lambda_svc._run_sqs_batch = messages.run_batch
    return messages


def _failures(response: bytes) -> set[str]:
    """Return the ids of the messages that a function has reported as failed."""
    body = json.loads(response or b"null") or {}
    return {failure["itemIdentifier"] for failure in body.get("batchItemFailures", ())}


def _queues() -> list[tuple[str, dict[str, Any]]]:
    """Return all queues with their URLs."""
    return [(key[-1], queue) for key, queue in sqs._queues._data.items()]


def _present() -> dict[str, Message]:
    with sqs._queues_lock:
        return {
            _key(url, message): message for url, queue in _queues() for message in queue["messages"]
        }


def _key(url: str, message: Message) -> str:
    return f"{url} {message['id']}"
