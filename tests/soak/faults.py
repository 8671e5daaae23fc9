"""Faults of a local cloud. Each returns when the fault has ended.

Those that hit a request in the middle first lock the table that visitors write to, so that a
request waits for the database, and then break something under it.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg2

from djambda_cli.local.cloud import DATABASE_NAME, DATABASE_USER, LocalCloud
from djambda_cli.local.database import load_state
from djambda_common.names import DJANGO_SUFFIX, PROXY_SUFFIX
from tests.cloud.local import Cloud
from tests.support.waiting import wait_until

TABLE = "catalog_product"
WAITING = "SELECT pid, client_port FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
LONGEST_WAIT = 60
"""Seconds until the end of a fault."""


@dataclass(frozen=True)
class Durations:
    """The seconds for which the database does not respond, and for which a worker is frozen."""

    unreachable: float
    frozen: float


class Target:
    """The processes and the database of a local cloud."""

    def __init__(self, cloud: Cloud, durations: Durations) -> None:
        self.durations = durations
        self._local = LocalCloud(cloud.folder)
        self._supervisor = psutil.Process(self._local.require_running().pid)

    def connect(self) -> Any:
        """Connect to the database, as no function does."""
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self._local.require_running().postgres_port,
            dbname=DATABASE_NAME,
            user=DATABASE_USER,
            password=self._local.credentials.database_password,
            connect_timeout=5,
            application_name="soak",
        )
        connection.autocommit = True
        return connection

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def wait_for_database(self) -> None:
        """Wait until the database responds."""

        def responds() -> bool:
            try:
                return bool(self.query("SELECT 1"))
            except psycopg2.OperationalError:
                return False

        wait_until(responds, LONGEST_WAIT)

    @contextmanager
    def writes_held(self) -> Iterator[list[tuple[int, int]]]:
        """Let writes wait; yield the process ids and client ports of those that do."""
        connection = self.connect()
        connection.autocommit = False
        try:
            connection.cursor().execute(f"LOCK TABLE {TABLE} IN SHARE ROW EXCLUSIVE MODE")
            wait_until(lambda: self.query(WAITING), LONGEST_WAIT)
            yield self.query(WAITING)
        finally:
            with contextlib.suppress(psycopg2.Error):
                connection.close()

    def postgres(self) -> list[psutil.Process]:
        """Return Postgres's processes, the first of which is the server's main one."""
        servers = [each for each in self._descendants() if "-D" in command(each)]
        [server] = [each for each in servers if "postgres" in each.name()]
        return [server, *server.children(recursive=True)]

    def functions(self, suffix: str) -> list[psutil.Process]:
        """Return the processes of a function."""
        return [each for each in self._descendants() if function_name(each).endswith(suffix)]

    def owner(self, port: int) -> psutil.Process:
        """Return Django's process with the connection that Postgres sees from a port."""
        client_port = load_state(self._local).client_ports[port]
        return next(
            process
            for process in self.functions(DJANGO_SUFFIX)
            if client_port in local_ports(process)
        )

    def _descendants(self) -> list[psutil.Process]:
        return self._supervisor.children(recursive=True)


def command(process: psutil.Process) -> list[str]:
    """Return a process's command line, which is empty if it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def function_name(process: psutil.Process) -> str:
    """Return the name of the function that a process runs, or ""."""
    try:
        return process.environ().get("AWS_LAMBDA_FUNCTION_NAME", "")
    except (psutil.Error, OSError):
        return ""


def local_ports(process: psutil.Process) -> set[int]:
    """Return the ports of a process's connections."""
    try:
        return {each.laddr.port for each in process.net_connections("tcp") if each.laddr}
    except psutil.Error:
        return set()


@contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    """Stop processes during the block (SIGSTOP), and continue those that still exist."""
    try:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def kill_postgres(target: Target) -> None:
    """Kill the server with writes waiting; the supervisor restarts it."""
    [server, *_] = target.postgres()
    with target.writes_held():
        server.kill()
        wait_until(lambda: not server.is_running(), LONGEST_WAIT)
    target.wait_for_database()


def crash_session(target: Target) -> None:
    """Kill the server's process for a waiting write, so that the server ends all sessions."""
    with target.writes_held() as waiting:
        os.kill(waiting[0][0], signal.SIGKILL)
    target.wait_for_database()


def stop_postgres(target: Target) -> None:
    """Let the database not respond for a while, as if its host were unreachable."""
    with stopped(target.postgres()):
        time.sleep(target.durations.unreachable)
    target.wait_for_database()


def end_sessions(target: Target) -> None:
    """Have the server end all sessions with writes waiting."""
    with target.writes_held():
        target.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename IS NOT NULL AND pid <> pg_backend_pid()"
        )


def kill_worker(target: Target) -> None:
    """Kill a process of Django whose write waits."""
    with target.writes_held() as waiting:
        target.owner(waiting[0][1]).kill()


def kill_proxies(target: Target) -> None:
    """Kill the proxy's processes with writes waiting, which cuts their connections."""
    with target.writes_held():
        for process in target.functions(PROXY_SUFFIX):
            process.kill()


def freeze_workers(target: Target) -> None:
    """Stop two of Django's processes, one of them in a request, for longer than a session lives."""
    with target.writes_held() as waiting:
        busy = target.owner(waiting[0][1])
        others = [each for each in target.functions(DJANGO_SUFFIX) if each != busy]
        processes = [busy, *others[:1]]
        for process in processes:
            process.suspend()
    with stopped(processes):
        time.sleep(target.durations.frozen)


FAULTS: dict[str, Callable[[Target], None]] = {
    "Postgres killed": kill_postgres,
    "process of a session killed": crash_session,
    "Postgres unreachable": stop_postgres,
    "all sessions ended": end_sessions,
    "Django's process killed": kill_worker,
    "proxy's processes killed": kill_proxies,
    "two of Django's processes frozen": freeze_workers,
}
