"""The Postgres of a checkout's development server and tests: it runs while a process uses it.

Each of these processes holds a shared lock. This module, run as a process of its own, runs the
server until it gets the lock for itself.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from djambda_cli.errors import CliError
from djambda_cli.local import postgres

USER = "postgres"
AUTHENTICATION = "local all all trust\n"
"""Only the owner may enter the socket's folder."""
SOCKET = ".s.PGSQL.5432"
SOCKET_LINE = 4
"""The line of postmaster.pid with the socket's folder."""
START_SECONDS = 60
POLL_SECONDS = 0.2

locks: dict[Path, int] = {}
"""The file descriptors of the locks, which this process holds until it ends."""


def start(data: Path) -> Path:
    """Start the server in `data` unless it runs, and return the folder of its socket.

    It stops when all processes that called this have ended. Raises `CliError`.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    if data not in locks:
        locks[data] = os.open(_users(data), os.O_WRONLY | os.O_CREAT, 0o600)
        fcntl.flock(locks[data], fcntl.LOCK_SH)  # Waits for a server that is stopping.
    with data.with_suffix(".starting").open("a") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        return _running(data) or _launch(data)


def _users(data: Path) -> Path:
    return data.with_suffix(".users")


def _running(data: Path) -> Path | None:
    """Return the folder of the socket of a server that accepts connections."""
    try:
        folder = Path((data / "postmaster.pid").read_text().splitlines()[SOCKET_LINE])
    except (FileNotFoundError, IndexError):
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        listens = probe.connect_ex(str(folder / SOCKET)) == 0
    return folder if listens and postgres.is_ready(data) else None


def _launch(data: Path) -> Path:
    if not (data / "PG_VERSION").exists():
        new = data.with_suffix(".new")  # Renamed when complete, in case initdb is killed.
        shutil.rmtree(new, ignore_errors=True)
        postgres.create_cluster(new, USER)
        (new / "pg_hba.conf").write_text(AUTHENTICATION)
        new.rename(data)
    elif (data / "pg_hba.conf").read_text() != AUTHENTICATION:  # Of an earlier version.
        _take_over(data)
        postgres.change_locale(data, "postgres")
        (data / "pg_hba.conf").write_text(AUTHENTICATION)
    # The path of a socket may have about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="djambda-postgres-"))
    postgres.give_to_server(folder)
    log = data.with_suffix(".log")
    with log.open("w") as output:
        completed = subprocess.run(
            [sys.executable, "-m", "djambda_cli.local.shared_postgres", data, folder],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=False,
        )
    if completed.returncode:
        raise CliError("Postgres did not start.", output=log.read_text())
    return folder


def _take_over(data: Path) -> None:
    """Let the server own the files: for root, earlier versions had a user of their own."""
    if os.geteuid() == 0:
        for path in (data, *data.rglob("*")):
            os.chown(path, 0, 0, follow_symlinks=False)
            postgres.give_to_server(path)


def run(data: Path, folder: Path) -> None:
    """Run the server in `data`, with its socket in `folder`, until no process uses it."""
    command, user = postgres.server_command(
        data, "-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"
    )
    with subprocess.Popen(command, user=user) as server, _users(data).open("a") as users:
        while server.poll() is None:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                server.send_signal(signal.SIGINT)
                server.wait()
            time.sleep(POLL_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def main(data: Path, folder: Path) -> int:
    """Run the server in the background; return when it accepts connections."""
    background = os.fork()
    if not background:
        run(data, folder)
        return 0
    deadline = time.monotonic() + START_SECONDS
    while not _running(data):
        ended, _ = os.waitpid(background, os.WNOHANG)
        if ended or time.monotonic() > deadline:
            return 1
        time.sleep(0.02)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
