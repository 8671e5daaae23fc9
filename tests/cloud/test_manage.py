"""`djambda manage` on the local cloud: as if the command ran here, whatever becomes of this end."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cloud.local import COMMANDS, HOSTILE, Cloud


def line(cloud: Cloud, *arguments: str) -> list[str]:
    return ["djambda", "manage", "--local", "--folder", str(cloud.folder), *arguments]


def manage(
    cloud: Cloud, *arguments: str, redirection: str = ""
) -> subprocess.CompletedProcess[str]:
    return cloud.shell(f"{shlex.join(line(cloud, *arguments))} {redirection}")


def shell(code: str) -> tuple[str, ...]:
    return "shell", "--no-imports", "-c", code


def started(cloud: Cloud, *arguments: str) -> subprocess.Popen[str]:
    """The same, and do not wait for it."""
    return subprocess.Popen(
        line(cloud, *arguments),
        executable=COMMANDS / "djambda",
        env={**os.environ, **HOSTILE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


class Marks:
    """Rows in the database: a test lets a command go on with one, a command tells that it ran.

    `wait` and `leave` are code for a command.
    """

    wait = "while not marks.exists(): time.sleep(0.1)"
    leave = "Group.objects.create(name=f'{name}-{uuid4()}')"

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.name = uuid4()

    def code(self, *lines: str) -> tuple[str, ...]:
        """A command that does that."""
        return shell(
            "import os, sys, time\n"
            "from uuid import uuid4\n"
            "from django.contrib.auth.models import Group\n"
            f"name = '{self.name}'\n"
            "marks = Group.objects.filter(name__startswith=name)\n" + "\n".join(lines)
        )

    def ask(self, code: str) -> str:
        """What that prints."""
        return str(self.cloud.manage(list(self.code(code)))["output"])

    def count(self) -> int:
        return int(self.ask("print(marks.count())"))


@pytest.fixture
def marks(cloud: Cloud) -> Iterator[Marks]:
    left = Marks(cloud)
    try:
        yield left
    finally:
        left.ask("marks.delete()")


def test_output_and_exit_code(cloud: Cloud) -> None:
    assert result(manage(cloud, "check")) == (
        0,
        "System check identified no issues (0 silenced).\n",
        "",
    )
    assert result(manage(cloud, "migrate", "--check")) == (0, "", "")


def test_a_failing_command_fails_here_too(cloud: Cloud) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"

    assert result(manage(cloud, *shell(code))) == (7, "out\n", "err\n")


def test_an_unknown_command(cloud: Cloud) -> None:
    exit_code, _, errors = result(manage(cloud, "migrat"))

    assert exit_code == 1
    assert "Unknown command: 'migrat'. Did you mean migrate?" in errors


@pytest.mark.parametrize("text", ["--local 'é' \"😀\"\n\t$HOME `id` \\n", "", "--"])
def test_arguments_are_exact(cloud: Cloud, text: str) -> None:
    done = manage(cloud, "check", f"--tag={text}")

    assert f'no system check with the "{text}" tag.' in done.stderr


def test_an_option_of_djangos_is_not_djambdas(cloud: Cloud) -> None:
    done = manage(cloud, "check", "--help")

    assert done.returncode == 0
    assert done.stdout.startswith("usage: manage.py check")


def test_what_asks_is_not_started(cloud: Cloud) -> None:
    done = manage(cloud, "shell")

    assert result(done)[:2] == (1, "")
    assert "`shell` was not started" in done.stderr
    assert f'--folder {cloud.folder} shell -v 0 -c "print(1)"' in done.stderr


def test_what_asks_all_the_same_says_so(cloud: Cloud) -> None:
    said = cloud.manage("changepassword admin")["errorMessage"]

    assert "CommandError: this command asks a question, and nobody is here" in said
    assert "Traceback" not in said


def test_a_dump_that_no_answer_of_lambda_could_hold(cloud: Cloud, tmp_path: Path) -> None:
    title = f"{uuid4()} é"
    body = "ä😀 \\n" * 200_000
    notes = "from core.models import Note; from django.contrib.auth.models import User"
    create = (
        f"{notes}; admin = User.objects.get(username='admin'); body = 'ä😀 \\\\n' * 200_000; "
        f"[Note.objects.create(author=admin, title='{title}', body=body) for _ in range(6)]"
    )
    assert manage(cloud, *shell(create)).returncode == 0
    try:
        dump = tmp_path / "dump.json"
        done = manage(cloud, "dumpdata", "core.note", redirection=f"> {dump}")

        assert result(done) == (0, "", "")
        assert dump.stat().st_size > 7_000_000
        fields = [each["fields"] for each in json.loads(dump.read_text())]
        assert [each["body"] for each in fields if each["title"] == title] == [body] * 6
    finally:
        cloud.manage(list(shell(f"{notes}; Note.objects.filter(title='{title}').delete()")))


def test_output_comes_while_the_command_runs_and_an_interruption_does_not_stop_it(
    cloud: Cloud, marks: Marks
) -> None:
    slow = marks.code("print('first')", marks.wait, "print('last')", "sys.exit(5)")
    with started(cloud, *slow) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "first\n"
        command.send_signal(signal.SIGINT)
        rest, errors = command.communicate(timeout=10)

    assert (command.returncode, rest) == (130, "")
    marks.ask(marks.leave)
    [follow] = re.findall(r"The command goes on\. Follow it: (.*)", errors)
    assert result(cloud.shell(follow)) == (5, "first\nlast\n", "")


def test_a_reader_who_leaves_does_not_stop_the_command(cloud: Cloud, marks: Marks) -> None:
    much = marks.code("print(('line' * 500 + '\\n') * 3_000)", marks.leave)

    done = manage(cloud, *much, redirection="| head -n 1; exit ${PIPESTATUS[0]}")

    assert (done.returncode, done.stdout) == (141, f"{'line' * 500}\n")
    [follow] = re.findall(r"The command goes on\. Follow it: (.*)", done.stderr)
    assert cloud.shell(follow).returncode == 0
    assert marks.count() == 1


def test_a_detached_command_is_followed_as_often_as_one_likes(cloud: Cloud, marks: Marks) -> None:
    slow = marks.code("print('first')", marks.wait, "print('last')", "sys.exit(5)")
    detached = manage(cloud, "--detach", *slow)

    assert detached.returncode == 0
    run = detached.stdout.strip()
    assert f"--follow {run} --local --folder {cloud.folder}" in detached.stderr
    marks.ask(marks.leave)
    for _ in range(2):
        assert result(manage(cloud, "--follow", run)) == (5, "first\nlast\n", "")


def test_killing_this_end_neither_stops_nor_repeats_the_command(cloud: Cloud, marks: Marks) -> None:
    slow = marks.code("print('first')", marks.wait, marks.leave)
    with started(cloud, *slow) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "first\n"
        command.kill()

    assert marks.count() == 0
    marks.ask(marks.leave)
    time.sleep(2)
    assert marks.count() == 2  # The test's own, and that of one command.


def test_a_function_that_dies_is_noticed_and_not_started_again(cloud: Cloud, marks: Marks) -> None:
    begun = time.monotonic()

    done = manage(
        cloud, *marks.code(marks.leave, "print('so far')", "time.sleep(1.5)", "os._exit(3)")
    )

    assert (done.returncode, done.stdout) == (1, "so far\n")
    assert "The command ended without a result" in done.stderr
    [log] = re.findall(r"Its log: (djambda logs .*)", done.stderr)
    assert "so far" in cloud.shell(log).stdout
    assert time.monotonic() - begun < 40
    assert marks.count() == 1  # Although the emulator delivers a failed event three times.
