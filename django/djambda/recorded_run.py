"""Run a management command and store its output in the assets bucket while it runs.

`djambda manage` sends `{"manage": [...], "run": "<id>"}` asynchronously and reads the files below
`runs/<id>/`: `started.json`, then the output in numbered parts, about one a second, and finally
`result.json`. So output has no limit, and a lost connection does not matter. Lambda may deliver an
event twice: the second invocation notices that the run has started, and does nothing.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from threading import get_ident
from typing import Any

import boto3
from botocore.exceptions import ClientError

from djambda.captured_output import Sink
from djambda_common.names import RUNS_PREFIX

logger = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two parts of a command with little output."""

CONFLICT_PAUSE = 0.2

PART_BYTES = 1_000_000
"""The size from which a part is stored at once."""

BACKLOG_BYTES = 4_000_000
"""The limit of output waiting to be stored; a command with more has to wait."""

BACKLOG_SECONDS = 10.0
"""The longest wait: a log handler that writes to the output is locked meanwhile, and storing a part
may log something through the same handler."""

type Put = Callable[[str, object], None]


def run_recorded(run: str, context: Any, command: Callable[[Sink], int]) -> dict[str, Any]:
    """Call `command(sink)`, which returns an exit code, and store the output that it writes.

    Return `{"run": id, "exit_code": int}`; without the code, and without calling the command, if
    the run has been started before. Raises botocore's errors if the bucket cannot be written to; if
    that is so before the start, the command is not called.
    """
    with closing(boto3.client("s3")) as s3:
        folder = RunFolder(run, s3, os.environ["AWS_STORAGE_BUCKET_NAME"])
        if not folder.claim(context):
            logger.warning("Run %s was started before and is not started again", run)
            return {"run": run}
        parts = Parts(folder.put)
        try:
            exit_code = command(parts)
        finally:
            complete = parts.close()
        if exit_code:
            logger.error("Run %s failed with exit code %s", run, exit_code)
        folder.put("result.json", {"exit_code": exit_code, "complete": complete})
    return {"run": run, "exit_code": exit_code}


class RunFolder:
    """The folder `runs/<id>/` in the bucket."""

    def __init__(self, run: str, s3: Any, bucket: str) -> None:
        self._path = f"{RUNS_PREFIX}{run}/"
        self._s3 = s3
        self._bucket = bucket

    def put(self, name: str, content: object, **condition: str) -> None:
        """Store `content` as JSON that preserves incomplete characters and surrogates."""
        self._s3.put_object(
            Bucket=self._bucket,
            Key=self._path + name,
            Body=json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass"),
            ContentType="application/json",
            **condition,
        )

    def claim(self, context: Any) -> bool:
        """Store `started.json` with the request's id and time left; return False if it exists.

        Only one of several concurrent claims returns True:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        seconds = context.get_remaining_time_in_millis() / 1000
        while True:
            try:
                self.put(
                    "started.json",
                    {"request": context.aws_request_id, "seconds": seconds},
                    IfNoneMatch="*",
                )
            except ClientError as error:
                match error.response["Error"]["Code"]:
                    case "PreconditionFailed":
                        return False
                    case "ConditionalRequestConflict":  # Two claims at the same moment.
                        time.sleep(CONFLICT_PAUSE)
                    case _:
                        raise
            else:
                return True


class Parts(Sink):
    """Stores output in parts: `[["out", text], ["err", text], ...]` in each.

    The text is decoded as UTF-8 with `surrogateescape`, which preserves every byte.
    """

    def __init__(self, put: Put, *, pause: float = PAUSE) -> None:
        self._put = put
        self._pause = pause
        # Reentrant: a signal handler or a finalizer may print while this thread holds it.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting: list[tuple[str, bytearray]] = []
        self._size = 0
        self._closed = False
        self._complete = True
        self._thread = threading.Thread(target=self._store, name="parts", daemon=True)
        self._thread.start()

    def write(self, stream: str, data: bytes) -> None:
        """Add output of the stream, unless it comes late or from storing a part."""
        if get_ident() == self._thread.ident:
            return  # Errors while storing are only logged.
        with self._lock:
            if self._closed:  # A thread, for example, has outlived the command.
                return
            if not self._waiting or self._waiting[-1][0] != stream:
                self._waiting.append((stream, bytearray()))
            self._waiting[-1][1].extend(data)
            self._size += len(data)
            if self._size >= PART_BYTES:
                self._changed.notify_all()

    def wait(self) -> None:
        """Block while too much output is waiting to be stored, at most `BACKLOG_SECONDS`."""
        if get_ident() == self._thread.ident:
            return
        with self._lock:
            self._changed.wait_for(
                lambda: self._closed or self._size < BACKLOG_BYTES, timeout=BACKLOG_SECONDS
            )

    def close(self) -> bool:
        """Store the rest and return whether all of the output was stored."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        return self._complete

    def _store(self) -> None:
        number = 0
        closed = False
        while not closed:
            with self._lock:
                self._changed.wait_for(
                    lambda: self._closed or self._size >= PART_BYTES, timeout=self._pause
                )
                waiting, self._waiting, self._size = self._waiting, [], 0
                closed = self._closed
                self._changed.notify_all()
            if waiting:
                number += 1
                self._store_part(f"{number:05}.json", waiting)

    def _store_part(self, name: str, waiting: list[tuple[str, bytearray]]) -> None:
        try:
            self._put(
                name, [(stream, data.decode(errors="surrogateescape")) for stream, data in waiting]
            )
        except Exception:
            # The command must continue; it would wait for this thread forever.
            self._complete = False
            logger.exception("Could not store a part of the command's output")
