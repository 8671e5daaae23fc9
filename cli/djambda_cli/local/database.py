"""The local cloud's database as commands use it: its state, and its pause."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from djambda_cli.errors import CliError
from djambda_cli.local import pause, postgres
from djambda_cli.local.cloud import DATABASE_NAME, DATABASE_USER, LocalCloud

END_SECONDS = 5
"""The time in which ended sessions disappear."""


def load_state(cloud: LocalCloud) -> pause.State:
    """Return the state of the database. Raises `CliError`."""
    port = cloud.require_running().postgres_port
    with _errors(cloud):
        return pause.request_state(port, cloud.credentials.database_password)


def pause_now(cloud: LocalCloud, resume_seconds: float) -> None:
    """Pause the database; the next connection needs so many seconds to resume it.

    Ends idle sessions, as the server does after a while. Raises `CliError` if others are open, or
    if the database is resuming.
    """
    running, password = cloud.require_running(), cloud.credentials.database_password
    busy = postgres.end_idle_sessions(
        running.server_port, user=DATABASE_USER, database=DATABASE_NAME, password=password
    )
    deadline = time.monotonic() + END_SECONDS
    while True:
        with _errors(cloud):
            state = pause.request_pause(running.postgres_port, password, resume_seconds)
        if state.name == "paused":
            return
        if state.name == "resuming":
            raise CliError("The database is resuming. Wait until it is awake, then run this again.")
        if busy or time.monotonic() > deadline:
            raise CliError(
                f"The database cannot pause while it has sessions: {', '.join(busy) or 'new ones'}."
                " End the requests, commands and shells that use it, then run this again."
            )
        time.sleep(0.05)


def pause_after(cloud: LocalCloud, minutes: float | None) -> None:
    """Let the database pause after so many minutes without sessions; None: never."""
    port = cloud.require_running().postgres_port
    seconds = None if minutes is None else minutes * 60
    with _errors(cloud):
        pause.request_pause_after(port, cloud.credentials.database_password, seconds)


@contextmanager
def _errors(cloud: LocalCloud) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CliError(
            f"The local database's forwarder does not respond: {error}. Restart the local cloud: "
            f"{cloud.command('down')}, then {cloud.command('up')}"
        ) from None
