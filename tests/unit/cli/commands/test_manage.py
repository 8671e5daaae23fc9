"""`djambda manage`, both ends: what is sent, what the function stores, what is made of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from typer.testing import CliRunner

from djambda.recorded_run import Parts
from djambda_cli.commands.manage import (
    MARGIN,
    MAX_PAYLOAD,
    PAUSES,
    START_LIMIT,
    Look,
    Run,
    Unreachable,
    attend,
    new_run,
    parse_run,
    patiently,
    payload_of,
    refuse_questions,
    reported,
)
from djambda_cli.errors import CliError
from djambda_cli.main import app

SENT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
RUN = Run("20261124t093000-3f9a2c41", SENT)
REQUEST = "8a0f7b4e-0000-4000-8000-000000000000"
STARTED = {"request": REQUEST, "seconds": 900}
ENDED = {"exit_code": 0, "complete": True}


# What is sent


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Give a command"),
        ([""], "Give a command"),
        (["--follow", "x", "check"], "leave out the command"),
        (["--follow", "x", "--detach"], "leave out the command"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["manage", *arguments])

    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_a_runs_id_has_its_time() -> None:
    run = new_run(SENT)

    assert parse_run(run.id) == run
    assert run.sent == SENT
    assert run.id.startswith("20261124t093000-")
    assert new_run(SENT) != run


@pytest.mark.parametrize(
    "text", ["", "x", "20261124t093000", "20261340t093000-3f9a2c41", "20261124t093000-3f9a2c41/.."]
)
def test_what_is_no_runs_id(text: str) -> None:
    with pytest.raises(CliError, match="is no run's id"):
        parse_run(text)


def test_arguments_go_out_as_they_are() -> None:
    command = ["shell", "-c", "print('a  b', \"c\")\n", "--no-input", "é 😀", "", "--"]

    assert json.loads(payload_of(command, RUN)) == {"manage": command, "run": RUN.id}


def test_a_command_that_lambda_would_not_take() -> None:
    with pytest.raises(CliError, match=r"1\.0 MB.*media/"):
        payload_of(["shell", "-c", "#" * MAX_PAYLOAD], RUN)


def test_an_argument_that_json_cannot_carry() -> None:
    with pytest.raises(CliError, match="not UTF-8"):
        payload_of(["shell", "-c", "print('\udce9')"], RUN)


@pytest.mark.parametrize(
    ("command", "instead"),
    [
        ("createsuperuser", "MANAGE createsuperuser --no-input --username NAME"),
        ("changepassword admin", 'MANAGE shell -c "u = '),
        ("dbshell", 'MANAGE shell -c "c = connection.cursor()'),
        ("dbshell -- -c SELECT", 'MANAGE shell -c "c = connection.cursor()'),
        ("flush", "MANAGE flush --no-input"),
        ("runserver 8000", "djambda open"),
        ("loaddata --format=json -", "MANAGE shell -v 0 -c"),
        ("makemigrations core", "python django/manage.py makemigrations"),
        ("shell", 'MANAGE shell -v 0 -c "$(cat script.py)"'),
        ("shell --no-imports -i python", 'MANAGE shell -v 0 -c "print(1)"'),
        ("testserver data.json", "python django/manage.py testserver"),
    ],
)
def test_a_command_that_asks_is_not_started(command: str, instead: str) -> None:
    name, *options = command.split()

    with pytest.raises(CliError) as error:
        refuse_questions([name, *options], "djambda manage --local")

    assert f"`{name}` was not started" in str(error.value)
    assert instead.replace("MANAGE", "djambda manage --local") in str(error.value)


@pytest.mark.parametrize(
    "command",
    [
        "createsuperuser --no-input",
        "createsuperuser --noinput --username x",
        "flush --no-input",
        "loaddata site",
        "makemigrations --check",
        "shell -c 1",
        "shell -c1",
        "shell --command=1",
        "shell --help",
        "runserver -h",
        "migrate",
        "help shell",
    ],
)
def test_a_command_that_does_not_ask_is_started(command: str) -> None:
    refuse_questions(command.split(), "djambda manage")


# What is made of it


class FakePlace:
    """A run's folder in which things appear with time, in seconds after the command was sent."""

    logs = "djambda logs"

    def __init__(self, *events: tuple[float, str, Any], report: tuple[float, str] | None = None):
        self.events = events
        self.report = report
        self.time = 0.0
        self.pauses: list[float] = []
        self.asked_log: list[float] = []

    def look(self, after: str) -> Look:
        came = {name: at for at, name, _ in self.events if at <= self.time and name > after}
        at = {name: SENT + timedelta(seconds=seconds) for name, seconds in came.items()}
        return Look(
            now=SENT + timedelta(seconds=self.time),
            parts=tuple(sorted(name for name in came if name[0].isdigit())),
            started=at.get("started.json"),
            ended="result.json" in came,
            changed=max(at.values(), default=None),
        )

    def read(self, name: str) -> Any:
        [content] = [
            content for at, each, content in self.events if each == name and at <= self.time
        ]
        return content

    def ending(self, request: str) -> str | None:
        assert request == REQUEST
        self.asked_log.append(self.time)
        if self.report is None or self.report[0] > self.time:
            return None
        return self.report[1]

    def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


class Shown(list[tuple[str, bytes]]):
    """What reached the terminal."""

    def __call__(self, stream: str, data: bytes) -> None:
        self.append((stream, data))


def test_output_comes_once_and_in_order_and_then_the_exit_code() -> None:
    shown = Shown()
    place = FakePlace(
        (1, "started.json", STARTED),
        (2, "00001.json", [["out", "1\n"], ["err", "2\n"]]),
        (3, "00002.json", [["out", "3\n"]]),
        (3, "00003.json", [["out", "4\n"]]),
        (3.5, "result.json", {"exit_code": 3, "complete": True}),
    )

    assert attend(RUN, place, shown) == 3
    assert shown == [("out", b"1\n"), ("err", b"2\n"), ("out", b"3\n"), ("out", b"4\n")]


def test_the_output_of_a_run_that_is_over_comes_at_once() -> None:
    shown = Shown()
    place = FakePlace(
        (1, "started.json", STARTED),
        (2, "00001.json", [["out", "1\n"]]),
        (3, "result.json", ENDED),
    )
    place.time = 100_000

    assert attend(RUN, place, shown) == 0
    assert shown == [("out", b"1\n")]
    assert place.pauses == []


def test_every_byte_arrives() -> None:
    data = bytes(range(256)) + "é😀".encode() + "\ud83d".encode(errors="surrogatepass") + b"\xf0"
    stored: list[tuple[float, str, Any]] = []
    parts = Parts(lambda name, content: stored.append((0, name, as_read(content))))
    keep = parts.writer("out")
    for byte in data:  # Characters cut in two, too.
        keep(bytes([byte]))
        parts.writer("err")(b".")
    parts.close()
    shown = Shown()

    attend(RUN, FakePlace(*stored, (0, "result.json", ENDED)), shown)

    assert b"".join(data for stream, data in shown if stream == "out") == data


def as_read(content: object) -> Any:
    """Return content as it comes back from the bucket."""
    encoded = json.dumps(content, ensure_ascii=False).encode(errors="surrogatepass")
    return json.loads(encoded.decode(errors="surrogatepass"))


def test_looks_are_quick_at_first_and_after_output() -> None:
    place = FakePlace(
        (1, "started.json", STARTED),
        (60, "00001.json", [["out", "1\n"]]),
        (64, "result.json", ENDED),
    )

    attend(RUN, place, Shown())

    again = place.pauses.index(PAUSES[0], 1)
    assert place.pauses[0] == PAUSES[0]
    assert place.pauses[again - 1] == max(place.pauses) == PAUSES[-1]
    assert place.time < 65


def test_a_silent_command_is_waited_for_to_its_end() -> None:
    place = FakePlace((1, "started.json", STARTED), (899, "result.json", ENDED))

    assert attend(RUN, place, Shown()) == 0
    assert len(place.asked_log) < 90


def test_the_log_is_not_asked_while_there_is_output() -> None:
    parts = [(float(n), f"{n:05}.json", [["out", "."]]) for n in range(2, 60)]
    place = FakePlace((1, "started.json", STARTED), *parts, (60, "result.json", ENDED))

    attend(RUN, place, Shown())

    assert place.asked_log == []


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("timeout", "was stopped at the function's time limit (LAMBDA_TIMEOUT"),
        ("Runtime.OutOfMemory", "ran out of memory (LAMBDA_MEMORY)"),
        ("Runtime.ExitError", "ended without a result (Runtime.ExitError)"),
    ],
)
def test_a_function_that_died_is_noticed_by_its_report(report: str, said: str) -> None:
    shown = Shown()
    place = FakePlace(
        (1, "started.json", STARTED),
        (20, "00001.json", [["out", "1\n"]]),
        (21, "00002.json", [["err", "2\n"]]),
        report=(22, report),
    )

    with pytest.raises(CliError) as error:
        attend(RUN, place, shown)

    assert f"The command {said}" in str(error.value)
    assert f"djambda logs --request {REQUEST}" in str(error.value)
    assert shown == [("out", b"1\n"), ("err", b"2\n")]
    assert place.time < 40


def test_a_result_that_comes_together_with_the_report_counts() -> None:
    class Late(FakePlace):
        def ending(self, request: str) -> str | None:  # noqa: ARG002
            self.events = (*self.events, (self.time, "result.json", ENDED))
            return "success"

    assert attend(RUN, Late((1, "started.json", STARTED)), Shown()) == 0


def test_an_event_that_came_twice_does_not_end_the_command() -> None:
    """The second delivery finds that the command has started, and ends well."""
    place = FakePlace(
        (1, "started.json", STARTED), (60, "result.json", ENDED), report=(5, "success")
    )

    assert attend(RUN, place, Shown()) == 0


def test_a_function_that_died_is_noticed_without_a_log() -> None:
    place = FakePlace((1, "started.json", STARTED))

    with pytest.raises(CliError, match=r"ended without a result \(not even a report\)"):
        attend(RUN, place, Shown())

    assert 900 < place.time < 901 + MARGIN.total_seconds() + 10


def test_a_function_that_failed_before_the_command_is_noticed_by_its_report() -> None:
    place = FakePlace(report=(5, "Runtime.ExitError"))

    with pytest.raises(CliError) as error:
        attend(RUN, place, Shown(), REQUEST)

    assert str(error.value) == (
        "The command was not started: its function failed first (Runtime.ExitError). "
        f"Its log: djambda logs --request {REQUEST}"
    )
    assert place.time < 20


def test_a_command_that_starts_late_is_waited_for() -> None:
    place = FakePlace(
        (290, "started.json", STARTED), (291, "00001.json", []), (292, "result.json", ENDED)
    )

    assert attend(RUN, place, Shown(), REQUEST) == 0


def test_a_command_that_never_starts_is_noticed() -> None:
    place = FakePlace()

    with pytest.raises(CliError, match="has not started, and will not any more"):
        attend(RUN, place, Shown())

    assert place.time < (START_LIMIT + MARGIN).total_seconds() + 10


@pytest.mark.parametrize(("exit_code", "told"), [(0, 1), (3, 3)])
def test_output_that_was_lost_is_a_failure(
    exit_code: int, told: int, capsys: pytest.CaptureFixture[str]
) -> None:
    place = FakePlace((0, "result.json", {"exit_code": exit_code, "complete": False}))

    assert attend(RUN, place, Shown()) == told
    assert "could not be stored" in capsys.readouterr().err


def report_of(request: str, **record: str) -> str:
    """https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report"""
    return json.dumps(
        {
            "time": "2026-11-24T09:30:03.000Z",
            "type": "platform.report",
            "record": {"requestId": request, "metrics": {"durationMs": 1000.0}, **record},
        }
    )


@pytest.mark.parametrize(
    ("message", "ending"),
    [
        (f"REPORT RequestId: {REQUEST}\tDuration: 27 ms\tBilled Duration: 27 ms", "error"),
        (f"REPORT RequestId: {REQUEST}\tDuration: 3000.00 ms\tStatus: timeout\t", "timeout"),
        (f"END RequestId: {REQUEST}", None),
        ("REPORT RequestId: another\tStatus: timeout", None),
        (report_of(REQUEST, status="error", errorType="Runtime.ExitError"), "Runtime.ExitError"),
        (report_of(REQUEST, status="timeout"), "timeout"),
        (report_of("another", status="timeout"), None),
        (f'{{"type": "platform.start", "record": {{"requestId": "{REQUEST}"}}}}', None),
        (f'{{"message": "said \\"platform.report\\"", "requestId": "{REQUEST}"}}', None),
        (f'said "platform.report" of {REQUEST}', None),
        (f'["platform.report", "{REQUEST}"]', None),
    ],
)
def test_lambdas_report_is_read(message: str, ending: str | None) -> None:
    assert reported(message, REQUEST) == ending


def test_a_connection_that_is_back_soon_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    answers: list[Any] = [
        EndpointConnectionError(endpoint_url="https://s3.example.com"),
        ReadTimeoutError(endpoint_url="https://s3.example.com"),
        "the answer",
    ]

    def ask() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(ask, pause=0) == "the answer"
    assert capsys.readouterr().err.count("Trying again") == 1


def test_what_aws_refuses_is_not_asked_again() -> None:
    def ask() -> None:
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "GetObject")

    with pytest.raises(Unreachable, match="Log in again"):
        patiently(ask)
