"""Scheduled commands: once for each time, never two at the same time, failures that are noticed."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from djambda import schedules
from djambda.awslambda import lambda_handler
from djambda.captured_output import Sink
from djambda.management_command import BadManageEvent
from djambda.schedules import BadScheduleEvent, ScheduledCommandFailed, run_schedule

KEY = "schedules/clear.json"
TIME = "2026-11-26T03:00:00Z"
NEXT = "2026-11-27T03:00:00Z"


class FakeS3:
    """A bucket with conditional writes.

    The responses of the next `lost` writes, which succeed, and of `conflicts` are errors.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes = 0
        self.lost = self.conflicts = 0
        self.error = ""

    def get_object(self, *, Key: str, **_: str) -> dict[str, Any]:  # noqa: N803
        if self.error or Key not in self.objects:
            raise ClientError({"Error": {"Code": self.error or "NoSuchKey"}}, "GetObject")
        content = self.objects[Key]
        return {"Body": BytesIO(content), "ETag": str(hash(content))}

    def put_object(
        self,
        *,
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
        **_: str,
    ) -> dict[str, Any]:
        if self.conflicts:
            self.conflicts -= 1
            raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")
        old = self.objects.get(Key)
        if (IfNoneMatch and old is not None) or (IfMatch and IfMatch != str(hash(old))):
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[Key] = Body
        self.writes += 1
        if self.lost:
            self.lost -= 1
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        return {"ETag": str(hash(Body))}

    def close(self) -> None:
        """Do nothing, like a client's `close`."""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    fake = FakeS3()
    monkeypatch.setenv("AWS_STORAGE_BUCKET_NAME", "the-bucket")
    monkeypatch.setattr("boto3.client", lambda _: fake)
    monkeypatch.setattr(schedules, "CONFLICT_PAUSE", 0)
    return fake


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that have run, instead of Django's; `fail` has the exit code 3."""
    commands: list[list[str]] = []

    def execute(arguments: list[str], sink: Sink, **_: Any) -> int:
        commands.append(arguments)
        sink.write("out", b"output\n")
        return 3 if arguments == ["fail"] else 0

    monkeypatch.setattr(schedules, "execute", execute)
    return commands


def context(seconds: float = 900) -> SimpleNamespace:
    return SimpleNamespace(
        aws_request_id="the-request",
        function_version="7",
        get_remaining_time_in_millis=lambda: int(seconds * 1000),
    )


def event(command: str = "check", time: str | None = TIME) -> dict[str, Any]:
    return {"schedule": "clear", "manage": command, "time": time}


def last_run(s3: FakeS3) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(s3.objects[KEY])
    return stored


def test_run_is_recorded(s3: FakeS3, ran: list[list[str]]) -> None:
    assert run_schedule(event("check -v 2"), context()) == {"schedule": "clear", "exit_code": 0}

    assert ran == [["check", "-v", "2"]]
    run = last_run(s3)
    assert (run["time"], run["request"], run["version"], run["exit_code"]) == (
        TIME,
        "the-request",
        "7",
        0,
    )
    assert run["started_at"] <= run["finished_at"] <= run["expires_at"]


def test_failing_command_fails_the_invocation(s3: FakeS3, ran: list[list[str]]) -> None:
    with pytest.raises(ScheduledCommandFailed) as error:
        run_schedule(event("fail"), context())

    for fact in ("clear", "`fail`", "exit code 3", "output"):
        assert fact in str(error.value)
    assert last_run(s3)["exit_code"] == 3


def test_same_time_does_not_run_twice(s3: FakeS3, ran: list[list[str]]) -> None:
    run_schedule(event(), context())

    again = run_schedule(event(), context())

    assert len(ran) == 1
    assert TIME in again["skipped"]


def test_late_delivery_of_an_earlier_time_does_not_run(s3: FakeS3, ran: list[list[str]]) -> None:
    run_schedule(event(time=NEXT), context())
    run_schedule(event(time=TIME), context())

    assert len(ran) == 1


def test_next_time_runs(s3: FakeS3, ran: list[list[str]]) -> None:
    run_schedule(event(), context())
    run_schedule(event(time=NEXT), context())

    assert len(ran) == 2
    assert last_run(s3)["time"] == NEXT


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[Any]]:
    """Return a function that calls another one while a command is running."""
    results: list[Any] = []

    def register(action: Callable[[], object]) -> list[Any]:
        def execute(arguments: list[str], _sink: Sink, **_: Any) -> int:
            if arguments == ["long"]:
                results.append(action())
            return 0

        monkeypatch.setattr(schedules, "execute", execute)
        return results

    return register


def test_run_is_skipped_while_the_previous_one_works(
    s3: FakeS3,
    during: Callable[[Callable[[], object]], list[Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = during(lambda: run_schedule(event(time=NEXT), context()))

    run_schedule(event("long"), context())

    assert "still working" in results[0]["skipped"]
    assert "Schedule clear: skipped" in capsys.readouterr().out
    assert last_run(s3)["time"] == TIME


def test_killed_run_does_not_block_forever(s3: FakeS3, ran: list[list[str]]) -> None:
    begin = datetime.now(UTC) - timedelta(seconds=901)
    killed = {
        "id": "other",
        "time": TIME,
        "request": "killed",
        "started_at": begin.isoformat(),
        "expires_at": (begin + timedelta(seconds=900)).isoformat(),
    }
    s3.objects[KEY] = json.dumps(killed).encode()

    assert run_schedule(event(time=NEXT), context())["exit_code"] == 0


def test_expired_run_does_not_replace_the_record_of_its_successor(
    s3: FakeS3, during: Callable[[Callable[[], object]], list[Any]]
) -> None:
    during(lambda: run_schedule(event(time=NEXT), context()))

    run_schedule(event("long"), context(seconds=0))

    assert last_run(s3)["time"] == NEXT


def test_one_of_many_concurrent_deliveries_runs(s3: FakeS3, ran: list[list[str]]) -> None:
    lock = threading.Lock()
    write = s3.put_object

    def put_object(**arguments: Any) -> dict[str, Any]:
        with lock:
            return write(**arguments)

    s3.put_object = put_object  # type: ignore[method-assign]
    threads = [threading.Thread(target=run_schedule, args=(event(), context())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ran) == 1


def test_lost_response_of_the_bucket_does_not_skip_the_run(
    s3: FakeS3, ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """boto3 repeats the request, whose condition is no longer met."""
    s3.lost = 1
    run_schedule(event(), context())
    assert len(ran) == 1

    s3.lost = 0
    write = s3.put_object

    def lose_the_end(**arguments: Any) -> dict[str, Any]:
        s3.lost = int(b"exit_code" in arguments["Body"])
        return write(**arguments)

    s3.put_object = lose_the_end  # type: ignore[method-assign]
    run_schedule(event(time=NEXT), context())
    assert len(ran) == 2
    assert "another run" not in capsys.readouterr().out


def test_command_does_not_run_without_the_bucket(s3: FakeS3, ran: list[list[str]]) -> None:
    s3.error = "SlowDown"

    with pytest.raises(ClientError, match="SlowDown"):
        run_schedule(event(), context())

    assert ran == []


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"schedule": ""}, BadScheduleEvent),
        ({"schedule": 3}, BadScheduleEvent),
        ({"manage": ""}, BadManageEvent),
        ({"run": "NO"}, BadManageEvent),
    ],
)
def test_bad_event(s3: FakeS3, fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        run_schedule({**event(), **fields}, context())

    assert s3.writes == 0


def test_event_without_a_command(s3: FakeS3) -> None:
    with pytest.raises(BadScheduleEvent, match="manage"):
        run_schedule({"schedule": "clear"}, context())


class TestRunOfAPerson:
    @pytest.fixture
    def recorded(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
        """The exit codes and outputs of recorded runs."""
        results: list[tuple[int, str]] = []

        class Output(Sink):
            text = b""

            def write(self, _stream: str, data: bytes) -> None:
                self.text += data

            def wait(self) -> None:
                """Do nothing: there is no limit."""

        def run_recorded(run: str, _context: Any, command: Callable[[Sink], int]) -> dict[str, Any]:
            output = Output()
            results.append((command(output), output.text.decode()))
            return {"run": run, "exit_code": results[-1][0]}

        monkeypatch.setattr(schedules, "run_recorded", run_recorded)
        return results

    def run(self, command: str = "check") -> dict[str, Any]:
        return run_schedule(
            {"schedule": "clear", "manage": command, "run": "20261126t030000-3f9a2c41"}, context()
        )

    @pytest.mark.usefixtures("ran")
    def test_is_recorded_and_keeps_the_last_scheduled_time(
        self, s3: FakeS3, recorded: list[tuple[int, str]]
    ) -> None:
        run_schedule(event(), context())

        assert self.run("fail")["exit_code"] == 3

        assert recorded == [(3, "output\n")]
        assert (last_run(s3)["time"], last_run(s3)["exit_code"]) == (TIME, 3)
        assert "skipped" in run_schedule(event(), context())

    def test_is_started_although_the_bucket_reports_a_conflict(
        self, s3: FakeS3, ran: list[list[str]], recorded: list[tuple[int, str]]
    ) -> None:
        run_schedule(event(), context())
        s3.conflicts = 1

        self.run()

        assert [code for code, _ in recorded] == [0]
        assert len(ran) == 2

    @pytest.mark.usefixtures("s3")
    def test_is_not_started_while_another_one_works(
        self,
        recorded: list[tuple[int, str]],
        during: Callable[[Callable[[], object]], list[Any]],
    ) -> None:
        during(self.run)

        run_schedule(event("long"), context())

        [(exit_code, output)] = recorded
        assert exit_code == 1
        assert "still working" in output


def test_handler_runs_schedules(s3: FakeS3, ran: list[list[str]]) -> None:
    assert lambda_handler(event(), context())["schedule"] == "clear"
    assert ran == [["check"]]
