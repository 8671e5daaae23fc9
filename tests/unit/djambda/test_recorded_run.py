"""Output of a management command, stored in parts while it runs."""

import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from djambda.recorded_run import BACKLOG_BYTES, PART_BYTES, Parts, RunFolder, run_recorded

REQUEST = "8a0f7b4e-0000-4000-8000-000000000000"
STARTED = {"request": REQUEST, "seconds": 900}


class FakeS3:
    """A bucket that can fail."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fails = False
        self.conflicts = 0

    def put_object(self, *, Key: str, Body: bytes, IfNoneMatch: str = "", **_: str) -> None:  # noqa: N803
        if self.conflicts:
            self.conflicts -= 1
            raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")
        if self.fails or (IfNoneMatch == "*" and Key in self.objects):
            code = "SlowDown" if self.fails else "PreconditionFailed"
            raise ClientError({"Error": {"Code": code}}, "PutObject")
        self.objects[Key] = Body

    def close(self) -> None:
        """Do nothing, like a client's `close`."""


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


@pytest.fixture
def folder(s3: FakeS3) -> RunFolder:
    return RunFolder("the-run", s3, "the-bucket")


CONTEXT = SimpleNamespace(aws_request_id=REQUEST, get_remaining_time_in_millis=lambda: 900_000)


def stored(s3: FakeS3) -> dict[str, Any]:
    return {
        name.removeprefix("runs/the-run/"): json.loads(content.decode(errors="surrogatepass"))
        for name, content in s3.objects.items()
    }


def test_run_is_claimed_once(folder: RunFolder, s3: FakeS3) -> None:
    assert [folder.claim(CONTEXT), folder.claim(CONTEXT)] == [True, False]
    assert stored(s3) == {"started.json": STARTED}


def test_failing_command_is_logged_as_an_error(
    s3: FakeS3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Unlike the command's output, this record can be filtered by its level."""
    monkeypatch.setenv("AWS_STORAGE_BUCKET_NAME", "the-bucket")
    monkeypatch.setattr("boto3.client", lambda _: s3)

    run_recorded("the-run", CONTEXT, lambda _: 3)

    assert [(entry.levelname, entry.getMessage()) for entry in caplog.records] == [
        ("ERROR", "Run the-run failed with exit code 3")
    ]


def test_conflicting_claim_is_retried(folder: RunFolder, s3: FakeS3) -> None:
    s3.conflicts = 2

    assert [folder.claim(CONTEXT), folder.claim(CONTEXT)] == [True, False]


def test_claim_raises_other_errors(folder: RunFolder, s3: FakeS3) -> None:
    s3.fails = True

    with pytest.raises(ClientError, match="SlowDown"):
        folder.claim(CONTEXT)


def test_streams_are_stored_in_the_order_of_their_output(folder: RunFolder, s3: FakeS3) -> None:
    parts = Parts(folder.put)
    for stream, data in (("out", b"1\n"), ("out", b"2\n"), ("err", b"3\n"), ("out", b"4\n")):
        parts.write(stream, data)

    assert parts.close() is True
    assert stored(s3) == {"00001.json": [["out", "1\n2\n"], ["err", "3\n"], ["out", "4\n"]]}


def test_command_without_output_stores_no_part(folder: RunFolder, s3: FakeS3) -> None:
    assert Parts(folder.put).close() is True
    assert stored(s3) == {}


def test_output_is_stored_while_the_command_runs() -> None:
    part_stored = threading.Event()
    parts = Parts(lambda *_: part_stored.set(), pause=0.01)

    parts.write("out", b"so far")

    assert part_stored.wait(5)
    parts.close()


def test_large_part_is_stored_at_once() -> None:
    part_stored = threading.Event()
    parts = Parts(lambda *_: part_stored.set(), pause=3600)

    parts.write("out", b"x" * PART_BYTES)

    assert part_stored.wait(5)
    parts.close()


def test_command_waits_while_the_backlog_is_full() -> None:
    may_store, is_storing, printed = (threading.Event() for _ in range(3))
    sizes: list[int] = []

    def put(_: str, content: object) -> None:
        is_storing.set()
        assert may_store.wait(5)
        assert isinstance(content, list)
        sizes.append(sum(len(text) for _, text in content))

    parts = Parts(put, pause=0.01)

    def command() -> None:
        parts.write("out", b"x")
        assert is_storing.wait(5)
        parts.write("out", b"x" * BACKLOG_BYTES)
        parts.wait()
        printed.set()

    threading.Thread(target=command).start()
    assert not printed.wait(0.1)
    may_store.set()
    assert printed.wait(5)
    assert parts.close() is True
    assert sizes == [1, BACKLOG_BYTES]


def test_command_continues_if_its_output_cannot_be_stored(
    folder: RunFolder, s3: FakeS3, caplog: pytest.LogCaptureFixture
) -> None:
    s3.fails = True
    parts = Parts(folder.put)
    for _ in range(10):
        parts.write("out", b"x" * PART_BYTES)
        parts.wait()

    assert parts.close() is False
    assert "Could not store" in caplog.text


def test_output_after_the_run_is_ignored(folder: RunFolder, s3: FakeS3) -> None:
    parts = Parts(folder.put)
    parts.close()

    parts.write("err", b"late")
    parts.wait()

    assert stored(s3) == {}
