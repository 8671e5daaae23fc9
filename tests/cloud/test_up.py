"""`djambda up` and `down` when something fails: clear errors, and nothing left running."""

import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import psycopg2
import pytest

from djambda_cli.errors import CliError
from djambda_cli.local.cloud import DATABASE_NAME, DATABASE_USER, LocalCloud
from tests.cloud.checkout import Checkout
from tests.cloud.local import (
    Cloud,
    cloud_folder,
    log_in,
    processes_in,
    read_variables,
    run_down,
    run_up,
)
from tests.support.waiting import wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder of a local cloud that does not exist yet."""
    with cloud_folder() as folder:
        yield folder


def start_up(checkout: Checkout, folder: Path) -> subprocess.Popen[str]:
    """Start `djambda up` without waiting for it."""
    return subprocess.Popen(
        [checkout.djambda, "up", "--folder", folder, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_port_in_use(cloud_checkout: Checkout, folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        done = run_up(folder, "--port", str(port), checkout=cloud_checkout)

    assert done.returncode == 1
    assert f"Port {port} " in done.stderr
    assert "Traceback" not in done.stderr
    assert processes_in(folder) == []


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_interrupted_up_leaves_nothing_running(
    cloud_checkout: Checkout, folder: Path, number: signal.Signals, exit_code: int
) -> None:
    up = start_up(cloud_checkout, folder)
    wait_until(lambda: len(processes_in(folder)) > 3)

    up.send_signal(number)
    output, _ = up.communicate(timeout=60)

    assert up.returncode == exit_code
    assert "Traceback" not in output
    wait_until(lambda: processes_in(folder) == [])
    assert LocalCloud(folder).running() is None


def test_up_after_an_interrupted_deploy_and_after_destroy(
    cloud_checkout: Checkout, folder: Path
) -> None:
    """The interrupted deploy blocks nothing, and a destroyed site leaves no data behind."""
    up = start_up(cloud_checkout, folder)
    assert up.stdout is not None
    assert any("added" in line for line in up.stdout)
    time.sleep(2)  # It is deploying.
    up.send_signal(signal.SIGINT)
    assert "✗ Deploy" in up.communicate(timeout=60)[0]

    again = run_up(folder, "--port", "0", checkout=cloud_checkout)
    assert again.returncode == 0, again.stdout + again.stderr
    first = Cloud(folder, read_variables(folder), cloud_checkout)
    create = "User.objects.create(username='somebody')"
    assert first.shell(f'djambda manage {first.options} shell -c "{create}"').returncode == 0

    destroyed = first.djambda("destroy --confirm local-djambda")
    assert destroyed.returncode == 0, destroyed.stderr
    assert not folder.with_name("variables").exists()

    deployed = run_up(folder, checkout=cloud_checkout)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    second = Cloud(folder, read_variables(folder), cloud_checkout)
    assert second.site != first.site
    with second.browser() as visitor:
        assert log_in(visitor, second).status_code == 302
    count = "print(User.objects.count())"
    users = second.shell(f"djambda manage {second.options} shell -v 0 -c '{count}'")
    assert users.stdout == "1\n"


def test_killed_supervisor_ends_its_servers_and_can_start_again(folder: Path) -> None:
    cloud = LocalCloud(folder)
    first = cloud.start(port=0, owner=os.getpid())

    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: processes_in(folder) == [])
    assert (folder / "running.json").exists()  # It is stale.
    assert cloud.running() is None
    second = cloud.start(port=None, owner=os.getpid())

    assert second.port == first.port
    assert cloud.stop()
    assert processes_in(folder) == []


def test_stale_postgres_pid_file(folder: Path) -> None:
    cloud = LocalCloud(folder)
    cloud.start(port=0, owner=os.getpid())
    cloud.stop()
    (folder / "postgres" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")

    cloud.start(port=None, owner=os.getpid())

    assert cloud.stop()


ENDLESS = (
    "import signal, time\n"
    "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)\n"
    "while True: time.sleep(1)"
)


@pytest.mark.parametrize("killed", [False, True], ids=["down", "down after a kill"])
def test_down_ends_a_function_that_ignores_signals(
    cloud_checkout: Checkout, folder: Path, killed: bool
) -> None:
    done = run_up(folder, "--port", "0", checkout=cloud_checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    cloud = Cloud(folder, read_variables(folder), cloud_checkout)
    command = f"djambda manage {cloud.options} --detach shell -c {shlex.quote(ENDLESS)}"
    assert cloud.shell(command).returncode == 0
    wait_until(
        lambda: any("function_process" in str(each.cmdline()) for each in processes_in(folder))
    )
    time.sleep(1)
    if killed:
        os.kill(LocalCloud(folder).require_running().pid, signal.SIGKILL)

    assert run_down(folder).returncode == 0

    assert processes_in(folder) == []


def test_up_right_after_a_killed_one(cloud_checkout: Checkout, folder: Path) -> None:
    """The supervisor of the killed command is still shutting down."""
    first = start_up(cloud_checkout, folder)
    wait_until(lambda: LocalCloud(folder).running() is not None)
    first.kill()

    second = run_up(folder, "--port", "0", checkout=cloud_checkout)

    first.communicate(timeout=60)
    assert second.returncode == 0, second.stdout + second.stderr


def test_database_of_an_earlier_version_gets_a_password(folder: Path) -> None:
    """Earlier versions trusted every connection from the machine."""
    cloud = LocalCloud(folder)
    cloud.start(port=0, owner=os.getpid())
    cloud.stop()
    hba = folder / "postgres" / "data" / "pg_hba.conf"
    hba.write_text("host all all 127.0.0.1/32 trust\n")
    (folder / "credentials.json").unlink()

    port = cloud.start(port=None, owner=os.getpid()).postgres_port

    connect = partial(
        psycopg2.connect, host="127.0.0.1", port=port, user=DATABASE_USER, dbname=DATABASE_NAME
    )
    connect(password=cloud.credentials.database_password).close()
    with pytest.raises(psycopg2.OperationalError):
        connect(password="another")
    cloud.stop()


def test_database_of_another_postgres(folder: Path) -> None:
    data = folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("11\n")

    with pytest.raises(CliError, match="PostgreSQL 11's") as caught:
        LocalCloud(folder).start(port=0, owner=os.getpid())

    assert "djambda down --wipe" in str(caught.value)
    assert (data / "PG_VERSION").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_full_disk(cloud_checkout: Checkout, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("this machine does not let root mount")
    command = (
        f"mount -t tmpfs -o size=50m tmpfs {tmp_path} && "
        f"exec {cloud_checkout.djambda} up --folder {tmp_path / 'cloud'}"
    )

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "500 MB" in " ".join(done.stderr.split())


def test_down_when_nothing_is_running(folder: Path) -> None:
    assert run_down(folder).returncode == 0


def test_wipe_deletes_the_data(folder: Path) -> None:
    cloud = LocalCloud(folder)
    cloud.start(port=0, owner=os.getpid())
    cloud.variables_file.write_text("")

    done = run_down(folder, "--wipe")

    assert done.returncode == 0
    assert not folder.exists()
    assert not cloud.variables_file.exists()


@pytest.mark.parametrize("name", ["postgres", "forwarder"])
def test_killed_database_is_restarted(folder: Path, name: str) -> None:
    cloud = LocalCloud(folder)
    running = cloud.start(port=0, owner=os.getpid())
    connect = partial(
        psycopg2.connect,
        host="127.0.0.1",
        port=running.postgres_port,
        user=DATABASE_USER,
        dbname=DATABASE_NAME,
        password=cloud.credentials.database_password,
    )

    with closing(connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE kept AS SELECT 1 AS number")
        connection.commit()
        [main] = [
            child
            for child in psutil.Process(running.pid).children()
            if name in " ".join(child.cmdline()[:5])
        ]
        main.kill()
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT pg_sleep(60)")

    def is_kept() -> bool:
        try:
            with closing(connect()) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT number FROM kept")
                return bool(cursor.fetchall() == [(1,)])
        except psycopg2.OperationalError:
            return False

    wait_until(is_kept)
    assert cloud.running() == running
    cloud.stop()
