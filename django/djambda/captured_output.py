"""Capture all output of a management command, in order, and log it at the same time.

Output leaves a process in three ways: through `sys.stdout` and `sys.stderr`; through the file
descriptors 1 and 2, which child processes inherit and C extensions use; and as log records, which
Lambda's runtime writes to a file descriptor of its own. Before Python writes anything, what has
arrived in the pipes behind 1 and 2 is recorded, so that the order is that of the writes.
"""

import codecs
import contextlib
import ctypes
import io
import math
import os
import select
import sys
import threading
from collections.abc import Buffer, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TextIO

from djambda.log_copies import records_in_output

STDIN, STDOUT, STDERR = 0, 1, 2

PIPE_BYTES = 65_536
"""The capacity of a pipe: one read of this size returns everything that was written before.

https://man7.org/linux/man-pages/man7/pipe.7.html"""

ERRORS = "djambda.output"


def encode_surrogates(error: UnicodeError) -> tuple[str | bytes, int]:
    """Restore bytes that were not UTF-8, such as those of file names, and escape the rest."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError as unencodable:
        return codecs.lookup_error("backslashreplace")(unencodable)


codecs.register_error(ERRORS, encode_surrogates)


class Sink(Protocol):
    """Receives the output of the streams "out" and "err"."""

    def write(self, stream: str, data: bytes) -> None:
        """Accept output without blocking."""

    def wait(self) -> None:
        """Block while there is too much output to accept more."""


@contextlib.contextmanager
def captured_output(sink: Sink, *, merged: bool, logged: float = math.inf) -> Iterator[None]:
    """Pass all output of the block on to `sink`, and `logged` characters of each stream to the log.

    If `merged`, both streams of child processes share a pipe, which preserves the order of their
    output; it then counts as "err". Input is empty. Child processes that outlive the block can
    continue to write, but only to the log.
    """
    capture = _Capture(sink)
    out = _Stream(capture, "out", STDOUT, sys.stdout, logged)
    err = _Stream(capture, "err", STDERR, sys.stderr, logged)
    stdout, stderr = out.as_text(), err.as_text()
    consoles = {sys.stdout: stdout, sys.__stdout__: stdout, sys.stderr: stderr}
    consoles |= {sys.__stderr__: stderr}
    with (
        _empty_stdin(),
        capture.pipes(out, err, merged=merged),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        records_in_output(consoles, lambda text: capture.write(err, text, log=False)),
    ):
        yield


class _Stream(io.RawIOBase):
    """A captured standard stream, and the log to which it belongs."""

    def __init__(
        self, capture: "_Capture", name: str, descriptor: int, log: TextIO, logged: float
    ) -> None:
        self.name = name
        self.descriptor = descriptor
        self.log = log
        self._capture = capture
        self._logged = logged
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def as_text(self) -> TextIO:
        """Return a stream like those of `python -u`, which also have a `.buffer`."""
        return io.TextIOWrapper(self, encoding="utf-8", errors=ERRORS, write_through=True)

    def write(self, data: Buffer) -> int:
        copy = bytes(data)
        self._capture.write(self, copy)
        return len(copy)

    def write_log(self, data: bytes) -> None:
        """Write to the log, up to the limit."""
        if self._logged <= 0:
            return
        text = self._decoder.decode(data)
        self.log.write(text)
        self._logged -= len(text)
        if self._logged <= 0:
            self.log.write("\n[... the rest of this output is not logged ...]\n")
        self.log.flush()

    def use_log(self, log: TextIO) -> None:
        """Write to this log from now on, without a limit."""
        self.log.flush()
        if self.log is not log:
            self.log.close()
        self.log, self._logged = log, math.inf

    def fileno(self) -> int:
        return self.descriptor

    def flush(self) -> None:
        if not self.log.closed:  # Garbage collection may call this method.
            self.log.flush()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing: log handlers may keep the stream and use it later."""


class _Capture:
    """Collects the output of several threads and pipes. Afterwards, output goes to the log only."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._process = os.getpid()
        # Reentrant: a signal handler or a finalizer may print while this thread holds it.
        self._lock = threading.RLock()
        self._pipes: dict[int, _Stream] = {}
        self._is_open = True

    def write(self, stream: _Stream, data: bytes, *, log: bool = True) -> None:
        """Record output of this process."""
        if os.getpid() != self._process:  # A forked child has a copy of the sink.
            while data:
                data = data[os.write(stream.descriptor, data) :]
            return
        with self._lock:
            for pipe in self._pipes:
                self._read(pipe)
            self._record(stream, data, log=log)
        self._sink.wait()

    @contextlib.contextmanager
    def pipes(self, out: _Stream, err: _Stream, *, merged: bool) -> Iterator[None]:
        """Replace the file descriptors of the streams with pipes."""
        _flush()
        saved = {stream.descriptor: os.dup(stream.descriptor) for stream in (out, err)}
        originals = out.log, err.log
        out.log, err.log = (_unaffected(log, saved) for log in originals)
        if merged:
            self._add_pipe(err, out.descriptor, err.descriptor)
        else:
            self._add_pipe(out, out.descriptor)
            self._add_pipe(err, err.descriptor)
        threading.Thread(target=self._read_pipes, name="output", daemon=True).start()
        try:
            yield
        finally:
            _flush()
            for descriptor, copy in saved.items():
                os.dup2(copy, descriptor)
                os.close(copy)
            with self._lock:
                for pipe in self._pipes:
                    self._read(pipe)
                self._is_open = False
                for stream, original in zip((out, err), originals, strict=True):
                    stream.use_log(original)

    def _add_pipe(self, stream: _Stream, *descriptors: int) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        for descriptor in descriptors:
            os.dup2(writer, descriptor)
        os.close(writer)
        self._pipes[reader] = stream

    def _read_pipes(self) -> None:
        """Record what arrives in the pipes, until all processes have closed them."""
        poll = select.poll()
        for pipe in self._pipes:
            poll.register(pipe, select.POLLIN)
        while self._pipes:
            for pipe, _ in poll.poll():
                with self._lock:
                    if not self._read(pipe):
                        poll.unregister(pipe)
                        del self._pipes[pipe]
                        os.close(pipe)
            self._sink.wait()

    def _read(self, pipe: int) -> bool:
        """Record what is in the pipe; return False at its end."""
        try:
            data = os.read(pipe, PIPE_BYTES)
        except BlockingIOError:
            return True
        if data:
            self._record(self._pipes[pipe], data)
        return bool(data)

    def _record(self, stream: _Stream, data: bytes, *, log: bool = True) -> None:
        if self._is_open:
            self._sink.write(stream.name, data)
        if log:
            stream.write_log(data)


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # Not a file, or closed.
        return None


def _unaffected(log: TextIO, saved: Mapping[int, int]) -> TextIO:
    """Return a stream that writes to the log while its file descriptor is a pipe."""
    descriptor = _descriptor(log)
    if descriptor is None or descriptor not in saved:
        return log
    return open(os.dup(saved[descriptor]), "w", encoding="utf-8", errors="backslashreplace")  # noqa: PTH123 (a descriptor)


def _flush() -> None:
    """Write what Python and the C library have buffered."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None and not stream.closed:
            stream.flush()
    ctypes.CDLL(None).fflush(None)


@contextlib.contextmanager
def _empty_stdin() -> Iterator[None]:
    """Replace stdin with an empty file, even for child processes: `input` raises EOFError."""
    before, saved = sys.stdin, os.dup(STDIN)
    with Path(os.devnull).open() as empty:
        os.dup2(empty.fileno(), STDIN)
        sys.stdin = empty
        try:
            yield
        finally:
            sys.stdin = before
            os.dup2(saved, STDIN)
            os.close(saved)
