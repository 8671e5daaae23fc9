"""`{"manage": "migrate --no-input"}`: a management command as a Lambda event.

The command runs as it would in a terminal without a keyboard. What it prints goes to the log while
it runs, and to the caller when it is done. A command that fails makes the invocation fail, so that
whoever looks at the invocation only (a pipeline, a schedule) notices. With a `run` in the event,
its caller looks at the bucket instead: see `recorded_run`.
"""

import codecs
import contextlib
import io
import json
import math
import os
import re
import shlex
import sys
import traceback
from collections.abc import Buffer, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from django.core.management import ManagementUtility
from django.db import close_old_connections

OUTPUT_LIMIT = 5_500_000
"""Bytes of output, as JSON, that fit into Lambda's 6 MB with room for the rest."""

ERROR_LIMIT = 200_000
"""The same for a failure, which Lambda logs once more: one log event holds 256 KB."""

LOGGED_CHARACTERS = 1_000_000
"""What a run writes of each stream to the log, which bills per GB; the bucket has all of it."""

RUN = re.compile(r"[0-9a-z-]{8,64}")

NO_ANSWER = {"EOF when reading a line", ""}
"""What `input` and `getpass` say at the end of the file; other errors of that type say more."""

QUESTION = (
    "CommandError: this command asks a question, and nobody is here to answer it. Give it all it "
    "needs as options (often --no-input; --help lists them), or do the same with: shell -c"
)

type Keep = Callable[[bytes], None]


class BadManageEvent(ValueError):  # noqa: N818 (as below)
    """The value of `manage` is no command; the message says what one looks like."""


class ManagementCommandFailed(Exception):  # noqa: N818 (Lambda shows the name as errorType)
    """The message has the command, its exit code and its output."""


def manage(command: object, context: Any, run: object = None) -> dict[str, Any]:
    """Runs the command and returns `{"output": str, "exit_code": 0}`.

    Raises `BadManageEvent` for what is no command, and `ManagementCommandFailed` for every exit
    code but 0. With an id as `run`, output and exit code go where `recorded_run.record` says.
    """
    arguments = parse(command)
    if run is not None:
        return _record(run, context, arguments)
    kept: list[bytes] = []
    exit_code = execute(arguments, kept.append, kept.append)
    output = b"".join(kept).decode(errors="backslashreplace")
    place = f"log group {context.log_group_name}, request {context.aws_request_id}"
    if exit_code:
        output = cut_in_the_middle(output, ERROR_LIMIT, place)
        raise ManagementCommandFailed(
            f"`{shlex.join(arguments)}` failed with exit code {exit_code}:\n{output}"
        )
    return {"output": cut_in_the_middle(output, OUTPUT_LIMIT, place), "exit_code": 0}


def _record(run: object, context: Any, arguments: list[str]) -> dict[str, Any]:
    from djambda.recorded_run import record  # noqa: PLC0415 (imports boto3)

    if not isinstance(run, str) or not RUN.fullmatch(run):
        raise BadManageEvent(
            "run: expected 8 to 64 lower-case letters, digits and hyphens, different in each event"
        )
    return record(run, context, partial(execute, arguments, logged=LOGGED_CHARACTERS))


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


def execute(arguments: list[str], out: Keep, err: Keep, *, logged: float = math.inf) -> int:
    """The exit code of one management command. `out` and `err` get what it prints, as it prints.

    Of each stream, about `logged` characters go to the log too.
    """
    close_old_connections()  # One that is too old; the command closes those that it has opened.
    with (
        contextlib.redirect_stdout(_stream(Tee(sys.stdout, out, logged), "surrogateescape")),
        contextlib.redirect_stderr(_stream(Tee(sys.stderr, err, logged), "backslashreplace")),
        _no_keyboard(),
    ):
        try:
            ManagementUtility(["manage.py", *arguments]).execute()
        except SystemExit as exit_request:
            return _exit_code(exit_request)
        except Exception as error:  # noqa: BLE001 (the command has failed and says why)
            if isinstance(error, EOFError) and str(error) in NO_ANSWER:
                sys.stderr.write(f"\n{QUESTION}\n")
            else:
                traceback.print_exc()
            return 1
    return 0


class Tee(io.RawIOBase):
    """Bytes for `keep` and, up to `logged` characters of them, as text for the log."""

    def __init__(self, log: TextIO, keep: Keep, logged: float) -> None:
        self._log = log
        self._keep = keep
        self._logged = logged
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: Buffer) -> int:
        copy = bytes(data)
        self._keep(copy)
        if self._logged > 0:
            text = self._decoder.decode(copy)
            self._log.write(text)
            self._logged -= len(text)
            if self._logged <= 0:
                self._log.write("\n[... the log has no more of this output ...]\n")
        return len(copy)

    def flush(self) -> None:
        if not self._log.closed:  # This may be called when the object is collected.
            self._log.flush()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Leaves the log open: it is not this object's."""


def _stream(tee: Tee, errors: str) -> TextIO:
    """A stream like those of `python -u`, `.buffer` included."""
    return io.TextIOWrapper(tee, encoding="utf-8", errors=errors, write_through=True)  # type: ignore[type-var]


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
