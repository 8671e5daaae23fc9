"""`djambda up` and `down` when things go wrong: clear words, and nothing left running."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from djambda_cli.local.cloud import LocalCloud
from tests.cloud.local import (
    COMMANDS,
    Cloud,
    folder_of_a_cloud,
    log_in,
    read_variables,
    run_down,
    run_up,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder of a local cloud that does not exist yet."""
    with folder_of_a_cloud() as folder:
        yield folder


def processes_in(folder: Path) -> list[psutil.Process]:
    """Everything that runs for the cloud in a folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if str(folder) in " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
        and process.pid != os.getpid()
    ]


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_second_up_changes_nothing(cloud: Cloud) -> None:
    def last_update() -> object:
        stacks = cloud.call("cloudformation", "describe_stacks", StackName="local-djambda")
        return stacks["Stacks"][0]["LastUpdatedTime"]

    # The release test leaves a stack that was rolled back, which the CDK deploys again.
    done = run_up(cloud.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    before = last_update()

    again = run_up(cloud.folder)

    assert again.returncode == 0
    assert last_update() == before
    assert cloud.site in again.stdout


def test_data_survive_down_and_up(cloud: Cloud) -> None:
    cloud.manage(["shell", "-c", "User.objects.create_user('survivor')"])

    stopped = run_down(cloud.folder)
    assert "make up brings it back" in stopped.stdout
    assert processes_in(cloud.folder) == []
    back = run_up(cloud.folder)

    assert cloud.site in back.stdout
    assert cloud.variables["DJANGO_SUPERUSER_PASSWORD"] in back.stdout
    answer = cloud.manage(
        ["shell", "-c", "print(User.objects.filter(username='survivor').count())"]
    )
    assert answer["output"].endswith("1\n")


def test_port_that_is_taken(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        done = run_up(folder, "--port", str(port))

    assert done.returncode == 1
    assert f"Port {port} is taken by another program." in done.stderr
    assert "Traceback" not in done.stderr
    assert processes_in(folder) == []


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_up_that_is_ended_half_way_leaves_nothing_running(
    folder: Path, number: signal.Signals, exit_code: int
) -> None:
    up = subprocess.Popen(
        [COMMANDS / "djambda", "up", "--folder", folder, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: len(processes_in(folder)) > 3)

    up.send_signal(number)
    said, _ = up.communicate(timeout=60)

    assert up.returncode == exit_code
    assert "Traceback" not in said
    wait_until(lambda: processes_in(folder) == [])
    assert LocalCloud(folder).running() is None


def test_from_a_deploy_that_was_interrupted_to_a_new_site(folder: Path) -> None:
    """Nothing waits for the deploy that is no more; a site that was destroyed leaves nothing."""
    up = subprocess.Popen(
        [COMMANDS / "djambda", "up", "--folder", folder, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert up.stdout is not None
    assert any("added" in line for line in up.stdout)
    time.sleep(2)  # It is deploying.
    up.send_signal(signal.SIGINT)
    assert "✗ Deploy" in up.communicate(timeout=60)[0]

    again = run_up(folder, "--port", "0")
    assert again.returncode == 0, again.stdout + again.stderr
    first = Cloud(folder, read_variables(folder))
    here = f"--local --folder {folder}"
    leave = "User.objects.create(username='somebody')"
    assert first.shell(f'djambda manage {here} shell -c "{leave}"').returncode == 0

    destroyed = first.shell(f"djambda destroy {here} --confirm local-djambda")
    assert destroyed.returncode == 0, destroyed.stderr
    assert not folder.with_name("variables").exists()

    deployed = run_up(folder)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    second = Cloud(folder, read_variables(folder))
    assert second.site != first.site
    with second.browser() as visitor:
        assert log_in(visitor, second).status_code == 302
    users = second.shell(f"djambda manage {here} shell -v 0 -c 'print(User.objects.count())'")
    assert users.stdout == "1\n"


def test_keeper_that_is_killed_takes_the_servers_along_and_starts_again(folder: Path) -> None:
    cloud = LocalCloud(folder)
    first = cloud.start(port=0, owner=os.getpid())

    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: processes_in(folder) == [])
    assert (folder / "running.json").exists()  # Stale, and recognised as such.
    assert cloud.running() is None
    second = cloud.start(port=None, owner=os.getpid())

    assert second.port == first.port
    assert cloud.stop()
    assert processes_in(folder) == []


def test_pid_file_of_a_postgres_that_is_gone(folder: Path) -> None:
    cloud = LocalCloud(folder)
    cloud.start(port=0, owner=os.getpid())
    cloud.stop()
    (folder / "postgres" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")

    cloud.start(port=None, owner=os.getpid())

    assert cloud.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_disk_that_is_full(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("this machine does not let root mount")
    command = (
        f"mount -t tmpfs -o size=50m tmpfs {tmp_path} && "
        f"exec {COMMANDS / 'djambda'} up --folder {tmp_path / 'cloud'}"
    )

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "MB free, and the local cloud needs 500 MB. Free some space" in " ".join(
        done.stderr.split()
    )


def test_down_of_what_is_not_running(folder: Path) -> None:
    done = run_down(folder)

    assert done.returncode == 0
    assert done.stdout == "The local cloud is not running.\n"


def test_wipe_deletes_the_data(folder: Path) -> None:
    LocalCloud(folder).start(port=0, owner=os.getpid())

    done = run_down(folder, "--wipe")

    assert done.returncode == 0
    assert not folder.exists()
