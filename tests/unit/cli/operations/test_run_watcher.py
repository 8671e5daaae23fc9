"""Watching a run of a management command until it ends."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from djambda.recorded_run import Parts
from djambda_cli.aws.runs import CLOCK_MARGIN, ManagementRun, RunSnapshot
from djambda_cli.errors import CliError
from djambda_cli.operations.run_watcher import (
    PAUSES,
    START_LIMIT,
    NextStep,
    next_step,
    watch_run,
)

SENT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
RUN = ManagementRun("20261124t093000-3f9a2c41", SENT)
REQUEST = "8a0f7b4e-0000-4000-8000-000000000000"
STARTED = {"request": REQUEST, "seconds": 900}
ENDED = {"exit_code": 0, "complete": True}


def watch(source: "FakeSource", shown: "Shown", request: str = "") -> int:
    return watch_run(RUN, source, shown, logs="djambda logs", request=request)


@pytest.mark.parametrize(
    ("seconds", "silence", "has_result", "step"),
    [
        (5, 5, False, NextStep.WAIT),
        (60, 11, False, NextStep.CHECK_LOG),
        (60, 0, True, NextStep.FINISH),
        (329, 0, False, NextStep.WAIT),
        (331, 0, False, NextStep.GIVE_UP),
        (331, 331, True, NextStep.FINISH),
    ],
)
def test_next_step(seconds: int, silence: int, has_result: bool, step: NextStep) -> None:
    now = SENT + timedelta(seconds=seconds)
    snapshot = RunSnapshot(now, has_result=has_result)

    assert next_step(snapshot, SENT + START_LIMIT, now - timedelta(seconds=silence)) is step


class FakeSource:
    """A run whose objects appear over time, in seconds after it was sent."""

    def __init__(self, *events: tuple[float, str, Any], report: tuple[float, str] | None = None):
        self.events = events
        self.report = report
        self.time = 0.0
        self.pauses: list[float] = []
        self.log_checks: list[float] = []

    def load_snapshot(self, after: str) -> RunSnapshot:
        times = {
            name: SENT + timedelta(seconds=seconds)
            for seconds, name, _ in self.events
            if seconds <= self.time and name > after
        }
        return RunSnapshot(
            now=SENT + timedelta(seconds=self.time),
            parts=tuple(sorted(name for name in times if name[0].isdigit())),
            started=times.get("started.json"),
            has_result="result.json" in times,
            changed=max(times.values(), default=None),
        )

    def load(self, name: str) -> Any:
        [content] = [
            content
            for seconds, stored_name, content in self.events
            if stored_name == name and seconds <= self.time
        ]
        return content

    def load_start_failure(self) -> str:
        return "KeyError: 'PAYMENT_KEY'"

    def load_ending(self, request: str) -> str | None:
        assert request == REQUEST
        self.log_checks.append(self.time)
        if self.report is None or self.report[0] > self.time:
            return None
        return self.report[1]

    def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


class Shown(list[tuple[str, bytes]]):
    """Output that was shown."""

    def __call__(self, stream: str, data: bytes) -> None:
        self.append((stream, data))


def test_output_appears_once_and_in_order_before_the_exit_code() -> None:
    shown = Shown()
    source = FakeSource(
        (1, "started.json", STARTED),
        (2, "00001.json", [["out", "1\n"], ["err", "2\n"]]),
        (3, "00002.json", [["out", "3\n"]]),
        (3, "00003.json", [["out", "4\n"]]),
        (3.5, "result.json", {"exit_code": 3, "complete": True}),
    )

    assert watch(source, shown) == 3
    assert shown == [("out", b"1\n"), ("err", b"2\n"), ("out", b"3\n"), ("out", b"4\n")]


def test_output_of_a_finished_run_appears_at_once() -> None:
    shown = Shown()
    source = FakeSource(
        (1, "started.json", STARTED),
        (2, "00001.json", [["out", "1\n"]]),
        (3, "result.json", ENDED),
    )
    source.time = 100_000

    assert watch(source, shown) == 0
    assert shown == [("out", b"1\n")]
    assert source.pauses == []


def test_every_byte_arrives() -> None:
    data = bytes(range(256)) + "é😀".encode() + "\ud83d".encode(errors="surrogatepass") + b"\xf0"
    stored: list[tuple[float, str, Any]] = []
    parts = Parts(lambda name, content: stored.append((0, name, as_read(content))))
    for byte in data:  # Also cuts characters in two.
        parts.write("out", bytes([byte]))
        parts.write("err", b".")
    parts.close()
    shown = Shown()

    watch(FakeSource(*stored, (0, "result.json", ENDED)), shown)

    assert b"".join(data for stream, data in shown if stream == "out") == data


def as_read(content: object) -> Any:
    """Return content as it comes back from the bucket."""
    encoded = json.dumps(content, ensure_ascii=False).encode(errors="surrogatepass")
    return json.loads(encoded.decode(errors="surrogatepass"))


def test_pauses_are_short_at_first_and_after_output() -> None:
    source = FakeSource(
        (1, "started.json", STARTED),
        (60, "00001.json", [["out", "1\n"]]),
        (64, "result.json", ENDED),
    )

    watch(source, Shown())

    second = source.pauses.index(PAUSES[0], 1)
    assert source.pauses[0] == PAUSES[0]
    assert source.pauses[second - 1] == max(source.pauses) == PAUSES[-1]
    assert source.time < 65


def test_silent_command_is_watched_until_it_ends() -> None:
    source = FakeSource((1, "started.json", STARTED), (899, "result.json", ENDED))

    assert watch(source, Shown()) == 0
    assert len(source.log_checks) < 90


def test_log_is_not_checked_while_there_is_output() -> None:
    parts = [(float(n), f"{n:05}.json", [["out", "."]]) for n in range(2, 60)]
    source = FakeSource((1, "started.json", STARTED), *parts, (60, "result.json", ENDED))

    watch(source, Shown())

    assert source.log_checks == []


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ("timeout", "was stopped at the function's timeout (LAMBDA_TIMEOUT"),
        ("Runtime.OutOfMemory", "ran out of memory (LAMBDA_MEMORY)"),
        ("Runtime.ExitError", "ended without a result (Runtime.ExitError)"),
    ],
)
def test_failed_function_is_detected_by_its_report(report: str, message: str) -> None:
    shown = Shown()
    source = FakeSource(
        (1, "started.json", STARTED),
        (20, "00001.json", [["out", "1\n"]]),
        (21, "00002.json", [["err", "2\n"]]),
        report=(22, report),
    )

    with pytest.raises(CliError) as error:
        watch(source, shown)

    assert f"The command {message}" in str(error.value)
    assert f"djambda logs --request {REQUEST}" in str(error.value)
    assert shown == [("out", b"1\n"), ("err", b"2\n")]
    assert source.time < 40


def test_result_that_arrives_with_the_report_counts() -> None:
    class Late(FakeSource):
        def load_ending(self, request: str) -> str | None:  # noqa: ARG002
            self.events = (*self.events, (self.time, "result.json", ENDED))
            return "success"

    assert watch(Late((1, "started.json", STARTED)), Shown()) == 0


def test_repeated_delivery_does_not_end_the_run() -> None:
    """The second delivery finds the run started and ends successfully."""
    source = FakeSource(
        (1, "started.json", STARTED), (60, "result.json", ENDED), report=(5, "success")
    )

    assert watch(source, Shown()) == 0


def test_failed_function_is_detected_without_a_log() -> None:
    source = FakeSource((1, "started.json", STARTED))

    with pytest.raises(CliError, match=r"ended without a result \(no report\)"):
        watch(source, Shown())

    assert 900 < source.time < 901 + CLOCK_MARGIN.total_seconds() + 10


def test_function_that_failed_before_the_command_is_detected_by_its_report() -> None:
    source = FakeSource(report=(5, "Runtime.ExitError"))

    with pytest.raises(CliError) as error:
        watch(source, Shown(), REQUEST)

    assert "was not started" in str(error.value)
    assert "Runtime.ExitError" in str(error.value)
    assert error.value.output == "KeyError: 'PAYMENT_KEY'"
    assert f"djambda logs --request {REQUEST}" in str(error.value)
    assert source.time < 20


def test_late_start_is_waited_for() -> None:
    source = FakeSource(
        (290, "started.json", STARTED), (291, "00001.json", []), (292, "result.json", ENDED)
    )

    assert watch(source, Shown(), REQUEST) == 0


def test_run_that_never_starts_is_detected() -> None:
    source = FakeSource()

    with pytest.raises(CliError, match="did not start within 5 minutes"):
        watch(source, Shown())

    assert source.time < (START_LIMIT + CLOCK_MARGIN).total_seconds() + 10


@pytest.mark.parametrize(("exit_code", "reported"), [(0, 1), (3, 3)])
def test_lost_output_is_a_failure(
    exit_code: int, reported: int, capsys: pytest.CaptureFixture[str]
) -> None:
    source = FakeSource((0, "result.json", {"exit_code": exit_code, "complete": False}))

    assert watch(source, Shown()) == reported
    assert "could not be stored" in capsys.readouterr().err
