"""`djambda manage` on the local cloud: remote commands behave as if they ran on this machine."""

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

from tests.cloud.local import HOSTILE, Cloud

FOLLOW = r"djambda manage .*--follow \S+.*"


def command_line(cloud: Cloud, *arguments: str) -> list[str]:
    return ["djambda", "manage", "--local", "--folder", str(cloud.folder), *arguments]


def manage(
    cloud: Cloud, *arguments: str, redirection: str = ""
) -> subprocess.CompletedProcess[str]:
    return cloud.shell(f"{shlex.join(command_line(cloud, *arguments))} {redirection}")


def shell(code: str) -> tuple[str, ...]:
    return "shell", "--no-imports", "-c", code


def start(cloud: Cloud, *arguments: str) -> subprocess.Popen[str]:
    """Start `djambda manage` without waiting for it."""
    return subprocess.Popen(
        command_line(cloud, *arguments),
        executable=cloud.checkout.djambda,
        env={**os.environ, **HOSTILE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


class Marks:
    """Rows in the database by which tests and running commands signal each other.

    `wait` is code for a command that waits for a row; `leave` is code that adds one.
    """

    wait = "while not marks.exists(): time.sleep(0.1)"
    leave = "Group.objects.create(name=f'{name}-{uuid4()}')"

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.name = uuid4()

    def code(self, *lines: str) -> tuple[str, ...]:
        """Return a `shell` command that runs these lines."""
        return shell(
            "import os, sys, time\n"
            "from uuid import uuid4\n"
            "from django.contrib.auth.models import Group\n"
            f"name = '{self.name}'\n"
            "marks = Group.objects.filter(name__startswith=name)\n" + "\n".join(lines)
        )

    def run(self, code: str) -> str:
        """Run code in the live version and return its output."""
        return str(self.cloud.manage(list(self.code(code)))["output"])

    def count(self) -> int:
        return int(self.run("print(marks.count())"))


@pytest.fixture
def marks(cloud: Cloud) -> Iterator[Marks]:
    marks = Marks(cloud)
    try:
        yield marks
    finally:
        marks.run("marks.delete()")


def test_output_and_exit_code(cloud: Cloud) -> None:
    assert result(manage(cloud, "check")) == (
        0,
        "System check identified no issues (0 silenced).\n",
        "",
    )
    assert result(manage(cloud, "migrate", "--check")) == (0, "", "")


def test_failing_command_keeps_its_exit_code(cloud: Cloud) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"

    assert result(manage(cloud, *shell(code))) == (7, "out\n", "err\n")


def test_unknown_command(cloud: Cloud) -> None:
    exit_code, _, errors = result(manage(cloud, "migrat"))

    assert exit_code == 1
    assert "Unknown command: 'migrat'. Did you mean migrate?" in errors


@pytest.mark.parametrize("text", ["--local 'é' \"😀\"\n\t$HOME `id` \\n", "", "--"])
def test_arguments_are_exact(cloud: Cloud, text: str) -> None:
    done = manage(cloud, "check", f"--tag={text}")

    assert f'no system check with the "{text}" tag.' in done.stderr


def test_options_after_the_command_name_are_djangos(cloud: Cloud) -> None:
    done = manage(cloud, "check", "--help")

    assert done.returncode == 0
    assert done.stdout.startswith("usage: manage.py check")


def test_interactive_command_is_not_started(cloud: Cloud) -> None:
    done = manage(cloud, "shell")

    assert result(done)[:2] == (1, "")
    assert "`shell`" in done.stderr
    assert f'--folder {cloud.folder} shell -v 0 -c "print(1)"' in done.stderr


def test_prompt_in_a_running_command_fails(cloud: Cloud) -> None:
    error = cloud.manage("changepassword admin")["errorMessage"]

    assert "CommandError" in error
    assert "Traceback" not in error


def test_dump_larger_than_a_lambda_response(cloud: Cloud, tmp_path: Path) -> None:
    name = f"{uuid4()} é"
    text = "ä😀 \\n" * 200_000
    create = (
        "from catalog.models import Product; text = 'ä😀 \\\\n' * 200_000; "
        f"[Product.objects.create(name='{name}', description=text) for _ in range(6)]"
    )
    delete = f"from catalog.models import Product; Product.objects.filter(name='{name}').delete()"
    assert manage(cloud, *shell(create)).returncode == 0
    try:
        dump = tmp_path / "dump.json"
        done = manage(cloud, "dumpdata", "catalog.product", redirection=f"> {dump}")

        assert result(done) == (0, "", "")
        assert dump.stat().st_size > 7_000_000
        products = [row["fields"] for row in json.loads(dump.read_text())]
        assert [row["description"] for row in products if row["name"] == name] == [text] * 6
    finally:
        cloud.manage(list(shell(delete)))


def test_output_streams_and_an_interruption_does_not_stop_the_command(
    cloud: Cloud, marks: Marks
) -> None:
    slow = marks.code("print('first')", marks.wait, "print('last')", "sys.exit(5)")
    with start(cloud, *slow) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "first\n"
        command.send_signal(signal.SIGINT)
        rest, errors = command.communicate(timeout=10)

    assert (command.returncode, rest) == (130, "")
    marks.run(marks.leave)
    [follow] = re.findall(FOLLOW, errors)
    assert result(cloud.shell(follow)) == (5, "first\nlast\n", "")


def test_closed_pipe_does_not_stop_the_command(cloud: Cloud, marks: Marks) -> None:
    much = marks.code("print(('line' * 500 + '\\n') * 3_000)", marks.leave)

    done = manage(cloud, *much, redirection="| head -n 1; exit ${PIPESTATUS[0]}")

    assert (done.returncode, done.stdout) == (141, f"{'line' * 500}\n")
    [follow] = re.findall(FOLLOW, done.stderr)
    assert cloud.shell(follow).returncode == 0
    assert marks.count() == 1


def test_detached_command_can_be_followed_repeatedly(cloud: Cloud, marks: Marks) -> None:
    slow = marks.code("print('first')", marks.wait, "print('last')", "sys.exit(5)")
    detached = manage(cloud, "--detach", *slow)

    assert detached.returncode == 0
    run = detached.stdout.strip()
    assert f"--follow {run} --local --folder {cloud.folder}" in detached.stderr
    marks.run(marks.leave)
    for _ in range(2):
        assert result(manage(cloud, "--follow", run)) == (5, "first\nlast\n", "")


def test_killed_client_neither_stops_nor_repeats_the_command(cloud: Cloud, marks: Marks) -> None:
    slow = marks.code("print('first')", marks.wait, marks.leave)
    with start(cloud, *slow) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "first\n"
        command.kill()

    assert marks.count() == 0
    marks.run(marks.leave)
    time.sleep(2)
    assert marks.count() == 2  # One from the test, one from the command.


def test_function_that_dies_is_reported_and_not_repeated(cloud: Cloud, marks: Marks) -> None:
    begun = time.monotonic()

    done = manage(
        cloud, *marks.code(marks.leave, "print('so far')", "time.sleep(1.5)", "os._exit(3)")
    )

    assert (done.returncode, done.stdout) == (1, "so far\n")
    [log] = re.findall(r"djambda logs .*", done.stderr)
    assert "so far" in cloud.shell(log).stdout
    assert time.monotonic() - begun < 40
    assert marks.count() == 1  # Although the emulator delivers a failed event three times.
