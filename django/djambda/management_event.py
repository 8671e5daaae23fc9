"""`{"manage": "migrate --no-input"}`: a management command as a Lambda event.

The command runs as it would in a terminal without a keyboard. What it prints goes to the log while
it runs, and to the caller when it is done. A command that fails makes the invocation fail, so that
whoever looks at the invocation only (a pipeline, a schedule) notices.
"""

import contextlib
import io
import json
import os
import shlex
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from django.core.management import ManagementUtility
from django.db import close_old_connections

OUTPUT_LIMIT = 5_500_000
"""Bytes of output, as JSON, that fit into Lambda's 6 MB with room for the rest."""

ERROR_LIMIT = 200_000
"""The same for a failure, which Lambda logs once more: one log event holds 256 KB."""


class BadManageEvent(ValueError):  # noqa: N818 (as below)
    """The value of `manage` is no command; the message says what one looks like."""


class ManagementCommandFailed(Exception):  # noqa: N818 (Lambda shows the name as errorType)
    """The message has the command, its exit code and its output."""


def manage(command: object, context: Any) -> dict[str, Any]:
    """Runs the command and returns `{"output": str, "exit_code": 0}`.

    Raises `BadManageEvent` for what is no command, and `ManagementCommandFailed` for every exit
    code but 0.
    """
    arguments = parse(command)
    exit_code, output = run(arguments)
    place = f"log group {context.log_group_name}, request {context.aws_request_id}"
    if exit_code:
        output = cut_in_the_middle(output, ERROR_LIMIT, place)
        raise ManagementCommandFailed(
            f"`{shlex.join(arguments)}` failed with exit code {exit_code}:\n{output}"
        )
    return {"output": cut_in_the_middle(output, OUTPUT_LIMIT, place), "exit_code": 0}


def parse(command: object) -> list[str]:
    """The arguments of a command that is a string (split as a shell would) or a list of strings."""
    if isinstance(command, str):
        try:
            arguments = shlex.split(command)
        except ValueError as error:
            raise BadManageEvent(
                f"manage: cannot split {command!r} as a shell would ({error}). Close the "
                'quotation, or send a list: {"manage": ["shell", "-c", "print(1)"]}'
            ) from None
    elif isinstance(command, list) and all(isinstance(each, str) for each in command):
        arguments = command
    else:
        raise BadManageEvent(
            "manage: expected a string or a list of strings, such as "
            '{"manage": "migrate --no-input"} or {"manage": ["shell", "-c", "print(1)"]}, '
            f"and got {type(command).__name__}"
        )
    if not arguments or not arguments[0]:
        raise BadManageEvent('manage: the command is empty. {"manage": "help"} lists all commands.')
    return arguments


def run(arguments: list[str]) -> tuple[int, str]:
    """The exit code and the output (stdout and stderr, in order) of one management command."""
    close_old_connections()  # One that is too old; the command closes those that it has opened.
    written: list[str] = []
    out, err = Tee(sys.stdout, written), Tee(sys.stderr, written)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _no_keyboard():
        try:
            ManagementUtility(["manage.py", *arguments]).execute()
            exit_code = 0
        except SystemExit as exit_request:
            exit_code = _exit_code(exit_request)
        except Exception:  # noqa: BLE001 (whatever it is, the command has failed and says why)
            traceback.print_exc()
            exit_code = 1
    return exit_code, "".join(written)


class Tee(io.TextIOBase):
    """Writes to a stream and remembers it."""

    def __init__(self, stream: TextIO, written: list[str]) -> None:
        self._stream = stream
        self._written = written

    def write(self, text: str) -> int:
        self._written.append(text)
        self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Leaves the stream open: it is not this object's."""


@contextlib.contextmanager
def _no_keyboard() -> Iterator[None]:
    """Whoever asks a question gets the end of the file: nobody is there to answer."""
    keyboard = sys.stdin
    with Path(os.devnull).open() as nothing:
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = keyboard


def _exit_code(exit_request: SystemExit) -> int:
    """As the interpreter counts, https://docs.python.org/3/library/exceptions.html#SystemExit."""
    code = exit_request.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    sys.stderr.write(f"{code}\n")
    return 1


def cut_in_the_middle(text: str, limit: int, place: str) -> str:
    """`text`, or its beginning and its end where it takes more than `limit` bytes as JSON.

    `place` says where the whole text is.
    """
    head, tail = text, ""
    keep = len(text)
    while (size := len(json.dumps(head + tail))) > limit:
        # Right if all characters took the same space; a little less, so that this ends.
        keep = int(keep * limit / size * 0.99)
        head, tail = text[: keep // 2], text[len(text) - keep // 2 :]
    if not tail:
        return head
    cut = len(text) - len(head) - len(tail)
    return (
        f"{head}\n[... {cut} characters are cut here, the whole output is in {place} ...]\n{tail}"
    )
