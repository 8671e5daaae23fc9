"""The output of a management command: its own, its child processes' and its log records."""

import ctypes
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

from djambda.captured_output import captured_output


class ListSink:
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.chunks: list[tuple[str, bytes]] = []

    def write(self, stream: str, data: bytes) -> None:
        self.chunks.append((stream, data))

    def wait(self) -> None:
        """Accept everything."""

    def content(self, *streams: str) -> bytes:
        return b"".join(data for stream, data in self.chunks if stream in (streams or stream))


@contextmanager
def captured(*, merged: bool = False) -> Iterator[ListSink]:
    sink = ListSink()
    with captured_output(sink, merged=merged):
        yield sink


def write_line(text: str, stream: TextIO | None = None) -> None:
    (stream or sys.stdout).write(f"{text}\n")


def run_shell(script: str, **options: Any) -> None:
    subprocess.run(["/bin/sh", "-c", script], check=True, **options)


def test_output_of_child_processes_is_in_order() -> None:
    with captured(merged=True) as sink:
        for number in range(20):
            write_line(f"parent {number}")
            run_shell(f"echo out {number}; echo err {number} >&2; echo again {number}")
            write_line(f"parent {number}", sys.stderr)

    assert sink.content().decode().splitlines() == [
        line
        for number in range(20)
        for line in (
            f"parent {number}",
            f"out {number}",
            f"err {number}",
            f"again {number}",
            f"parent {number}",
        )
    ]


def test_streams_are_separate() -> None:
    with captured() as sink:
        write_line("a")
        run_shell("echo b; echo c >&2")
        write_line("d", sys.stderr)

    assert sink.content("out") == b"a\nb\n"
    assert sink.content("err") == b"c\nd\n"


@pytest.mark.parametrize("stream", [None, "sys.stdout"])
def test_bytes_are_unchanged(stream: str | None) -> None:
    with captured() as sink:
        run_shell(r"printf '\377\000\303'", stdout=sys.stdout if stream else None)
        sys.stdout.buffer.write(b"\xa9\r\n")

    assert sink.content("out") == b"\xff\x00\xc3\xa9\r\n"


def test_large_output_of_a_child_process_is_complete() -> None:
    with captured() as sink:
        run_shell("yes 0123456789 | head -c 5000000; echo the end")

    assert len(sink.content("out")) == 5_000_008
    assert sink.content("out").endswith(b"the end\n")


def test_output_of_c_code_is_included() -> None:
    with captured() as sink:
        ctypes.CDLL(None).printf(b"from C\n")
        write_line("from Python")

    assert sorted(sink.content("out").splitlines()) == [b"from C", b"from Python"]


def test_output_of_forked_processes_is_included() -> None:
    with captured() as sink:
        write_line("parent")
        if not (child := os.fork()):
            write_line("child")
            os._exit(0)
        os.waitpid(child, 0)

    assert sink.content("out") == b"parent\nchild\n"


def test_lines_of_threads_are_complete() -> None:
    def print_lines(name: int) -> None:
        for _ in range(200):
            sys.stdout.write(f"{name}" * 50 + "\n")

    with captured() as sink:
        threads = [threading.Thread(target=print_lines, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    lines = sink.content("out").decode().splitlines()
    assert sorted(lines) == [f"{name}" * 50 for name in range(4) for _ in range(200)]


def test_background_process_does_not_delay_the_end() -> None:
    with captured() as sink:
        process = subprocess.Popen(
            ["/bin/sh", "-c", "echo early; read line; echo late; echo late >&2"],
            stdin=subprocess.PIPE,
        )
        while not sink.chunks:
            threading.Event().wait(0.01)

    assert sink.content() == b"early\n"
    process.communicate(b"\n")
    assert process.returncode == 0
    assert sink.content() == b"early\n"


def test_child_processes_have_no_input() -> None:
    with captured() as sink:
        run_shell("cat; echo read")

    assert sink.content("out") == b"read\n"


def test_output_after_the_command_goes_to_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with captured() as sink:
        kept = sys.stdout
    before = capfd.readouterr()
    write_line("late", kept)
    run_shell("echo later")

    assert (before.out, sink.content()) == ("", b"")
    assert sorted(capfd.readouterr().out.splitlines()) == ["late", "later"]


def test_output_reaches_the_log_once(capfd: pytest.CaptureFixture[str]) -> None:
    with captured():
        write_line("own")
        run_shell("echo child; echo error >&2")

    assert capfd.readouterr() == ("own\nchild\n", "error\n")


def open_descriptors() -> int:
    for thread in threading.enumerate():
        if thread.name == "output":
            thread.join()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_left_open() -> None:
    before = open_descriptors()

    with captured():
        run_shell("echo x")

    assert open_descriptors() == before


def test_finalizer_can_print_while_output_is_recorded() -> None:
    class Reentrant(ListSink):
        def write(self, stream: str, data: bytes) -> None:
            super().write(stream, data)
            if data == b"first\n":
                write_line("second")

    sink = Reentrant()
    with captured_output(sink, merged=False):
        write_line("first")

    assert sink.content() == b"first\nsecond\n"


def test_text_that_is_not_unicode_does_not_fail() -> None:
    with captured() as sink:
        write_line("file name: \udcff, half a pair: \ud83d")

    assert sink.content() == b"file name: \xff, half a pair: \\ud83d\n"


# Log records

PROJECT_WITH_RECORDS = """
import json, logging, sys
from awslambdaric import bootstrap

class Sink:
    lines = []
    def log(self, message, frame_type=None):
        message.encode("utf8")
        self.lines.append(json.loads(message))

bootstrap._setup_logging(bootstrap.LogFormat.JSON, "INFO", Sink())

from shop import settings
if CONFIGURATION:
    settings.LOGGING = CONFIGURATION

from djambda.awslambda import lambda_handler
from tests.support.lambda_events import CONTEXT

early = logging.getLogger("early")

def report():
    logging.getLogger("shop.reports").warning("a record, %s", "half a pair: \\ud83d")
    logging.getLogger("shop.reports").debug("too detailed")
    print("printed")
    logging.getLogger("django.request").error("another record")
    early.warning("a third record")

import builtins
builtins.report = report
for _ in range(2):
    Sink.lines.clear()
    output = lambda_handler({"manage": ["shell", "--verbosity", "0", "-c", "report()"]}, CONTEXT)
print(json.dumps({**output, "lines": Sink.lines}))
"""

CONSOLE = {"class": "logging.StreamHandler", "formatter": "plain"}
DICT = {"version": 1, "formatters": {"plain": {"format": "own format: %(message)s"}}}


@pytest.mark.parametrize(
    ("configuration", "is_in_lambdas_log"),
    [
        ({}, True),
        (
            DICT
            | {
                "disable_existing_loggers": True,
                "handlers": {"console": CONSOLE},
                "root": {"handlers": ["console"], "level": "INFO"},
            },
            False,
        ),
        (
            DICT
            | {
                "disable_existing_loggers": False,
                "handlers": {"console": CONSOLE | {"stream": "ext://sys.stdout"}},
                "loggers": {
                    name: {"handlers": ["console"], "level": "INFO"} for name in ("shop", "django")
                },
            },
            True,
        ),
    ],
    ids=["none", "console", "console and Lambda"],
)
def test_records_are_in_the_output_once(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]],
    configuration: dict[str, Any],
    is_in_lambdas_log: bool,
) -> None:
    process = run_deployed(PROJECT_WITH_RECORDS.replace("CONFIGURATION", repr(configuration)))

    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout.splitlines()[-1])
    lines = result["output"].splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == [
        "\\ud83d",
        "printed",
        "another record",
        "a third record",
    ]
    logged = [line["message"] for line in result["lines"]]
    assert logged.count("another record") == 1
    assert ("a third record" in logged) is is_in_lambdas_log
