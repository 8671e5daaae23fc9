"""Run a management command from a Lambda event such as `{"manage": "migrate --no-input"}`.

The command runs without a terminal. Its output goes to the log while it runs, and to the caller
when it ends. A failing command fails the invocation, so that pipelines and schedules notice. With a
`run` in the event, output and exit code go to the assets bucket instead: see `recorded_run`.
"""

import contextlib
import json
import math
import os
import re
import shlex
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management import ManagementUtility
from django.db import connections

from djambda import deadline
from djambda.captured_output import Sink, captured_output
from djambda.parameters import get_parameters
from djambda.request_state import outside_requests
from djambda_common.names import SUPERUSER_PASSWORD

OUTPUT_LIMIT = 5_500_000
"""Bytes of output, as JSON, that fit into Lambda's 6 MB with room for the rest."""

ERROR_LIMIT = 200_000
"""The same for a failure, which Lambda also logs: one log event holds 256 KB."""

LOGGED_CHARACTERS = 1_000_000
"""Characters of each stream that a run logs. Logs are billed per GB; the bucket has everything."""

RUN_ID = re.compile(r"[0-9a-z-]{8,64}")

END_OF_INPUT = {"EOF when reading a line", ""}
"""The messages of the EOFError of `input` and `getpass`; other EOFErrors have different ones."""

NO_INPUT_ERROR = (
    "CommandError: this command asks for input, which Lambda cannot provide. Pass everything as "
    "options (often --no-input; --help lists them), or use: shell -c"
)

SUPERUSER_COMMANDS = {"createsuperuser", "ensure_superuser"}
PASSWORD_VARIABLE = "DJANGO_SUPERUSER_PASSWORD"  # noqa: S105 (the name of a variable)


class BadManageEvent(ValueError):  # noqa: N818 (as below)
    """The value of `manage` is not a command; the message has an example of one."""


class ManagementCommandFailed(Exception):  # noqa: N818 (Lambda shows the name as errorType)
    """The message has the command, its exit code and its output."""


def manage(command: object, context: Any, run: object = None) -> dict[str, Any]:
    """Run the command and return `{"output": str, "exit_code": 0}`.

    With an id as `run`, run it as `recorded_run.run_recorded` describes.

    Raises `BadManageEvent` if the value is not a command, and `ManagementCommandFailed` if the exit
    code is not 0.
    """
    arguments = parse_arguments(command)
    if run is not None:
        return _run_recorded(run, context, arguments)
    transcript = Transcript(OUTPUT_LIMIT)
    exit_code = execute(arguments, transcript, merged=True)
    output = transcript.text
    location = f"log group {context.log_group_name}, request {context.aws_request_id}"
    if exit_code:
        output = omit_middle(output, ERROR_LIMIT, location, transcript.omitted)
        raise ManagementCommandFailed(
            f"`{shlex.join(arguments)}` failed with exit code {exit_code}:\n{output}"
        )
    output = omit_middle(output, OUTPUT_LIMIT, location, transcript.omitted)
    return {"output": output, "exit_code": 0}


def _run_recorded(run: object, context: Any, arguments: list[str]) -> dict[str, Any]:
    from djambda.recorded_run import run_recorded  # noqa: PLC0415 (imports boto3)

    return run_recorded(
        parse_run(run),
        context,
        partial(execute, arguments, merged=False, logged=LOGGED_CHARACTERS),
    )


def parse_run(run: object) -> str:
    """Return the id of a recorded run. Raises `BadManageEvent` if it is none."""
    if not isinstance(run, str) or not RUN_ID.fullmatch(run):
        raise BadManageEvent(
            "run: expected 8 to 64 lowercase letters, digits and hyphens, different in each event"
        )
    return run


def parse_arguments(command: object) -> list[str]:
    """Return the arguments of a command: a string, split like in a shell, or a list of strings."""
    if isinstance(command, str):
        try:
            arguments = shlex.split(command)
        except ValueError as error:
            raise BadManageEvent(
                f"manage: cannot split {command!r} into arguments ({error}). Close the quotation, "
                'or send a list: {"manage": ["shell", "-c", "print(1)"]}'
            ) from None
    elif isinstance(command, list) and all(isinstance(argument, str) for argument in command):
        arguments = command
    else:
        raise BadManageEvent(
            "manage: expected a string or a list of strings, such as "
            '{"manage": "migrate --no-input"} or {"manage": ["shell", "-c", "print(1)"]}, '
            f"got {type(command).__name__}"
        )
    if not arguments or not arguments[0]:
        raise BadManageEvent('manage: the command is empty. {"manage": "help"} lists all commands.')
    return arguments


class Transcript(Sink):
    """Keeps the beginning and the end of all output, about `limit` bytes of each."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head, self._tail = bytearray(), bytearray()
        self.omitted = 0

    @property
    def text(self) -> str:
        """The output, without the `omitted` bytes in its middle."""
        return (self._head + self._tail).decode(errors="backslashreplace")

    def write(self, _stream: str, data: bytes) -> None:
        """Add output, whatever its stream."""
        room = self._limit - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._limit:
            self.omitted += len(self._tail) - self._limit
            del self._tail[: -self._limit]

    def wait(self) -> None:
        """Do nothing: there is no limit."""


def execute(arguments: list[str], sink: Sink, *, merged: bool, logged: float = math.inf) -> int:
    """Run one management command and return its exit code.

    `captured_output` describes the other arguments.
    """
    connections.close_all()  # Those of requests have other limits.
    deadline.start_command()
    process = os.getpid()
    with (
        captured_output(sink, merged=merged, logged=logged),
        _superuser_password(arguments[0]),
        outside_requests(),
        _same_logging(),
    ):
        exit_code = _run(arguments)
        if os.getpid() != process:  # A child process that the command has forked.
            os._exit(exit_code)
    connections.close_all()
    return exit_code


def _run(arguments: list[str]) -> int:
    try:
        ManagementUtility(["manage.py", *arguments]).execute()
    except SystemExit as exit_request:
        return _exit_code(exit_request)
    except Exception as error:  # noqa: BLE001 (the command has failed)
        if isinstance(error, EOFError) and str(error) in END_OF_INPUT:
            sys.stderr.write(f"\n{NO_INPUT_ERROR}\n")
        else:
            traceback.print_exc()
        return 1
    return 0


@contextlib.contextmanager
def _superuser_password(command: str) -> Iterator[None]:
    """Provide the generated password to a command that creates a superuser, and to no other."""
    needed = command in SUPERUSER_COMMANDS and PASSWORD_VARIABLE not in os.environ
    path = os.environ.get("SECRETS_PATH") if needed else None
    if path is None:
        yield
        return
    os.environ[PASSWORD_VARIABLE] = get_parameters(path, [SUPERUSER_PASSWORD])[SUPERUSER_PASSWORD]
    try:
        yield
    finally:
        del os.environ[PASSWORD_VARIABLE]


@contextlib.contextmanager
def _same_logging() -> Iterator[None]:
    """Keep `ManagementUtility` from applying LOGGING again, which may disable existing loggers."""
    configure, settings.LOGGING_CONFIG = settings.LOGGING_CONFIG, None
    try:
        yield
    finally:
        settings.LOGGING_CONFIG = configure


def _exit_code(exit_request: SystemExit) -> int:
    """Return the interpreter's exit code for SystemExit.

    https://docs.python.org/3/library/exceptions.html#SystemExit
    """
    code = exit_request.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    sys.stderr.write(f"{code}\n")
    return 1


def omit_middle(text: str, limit: int, location: str, omitted: int = 0) -> str:
    """Return `text`, without its middle if it takes more than `limit` bytes as JSON.

    `location` names the place of the whole text, of which `omitted` characters are missing already.
    """
    head, tail = text, ""
    keep = len(text)
    while (size := len(json.dumps(head + tail))) > limit:
        # Exact if all characters take the same space; 1% less, so that the loop ends.
        keep = int(keep * limit / size * 0.99)
        head, tail = text[: keep // 2], text[len(text) - keep // 2 :]
    if not tail:
        return head
    omitted += len(text) - len(head) - len(tail)
    return (
        f"{head}\n[... {omitted} characters omitted; the whole output is in {location} ...]\n{tail}"
    )
