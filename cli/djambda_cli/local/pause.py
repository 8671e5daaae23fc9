"""The state of the local database, and messages that pause it.

They go to the forwarder, in place of a connection's first message, as PostgreSQL's own
CancelRequest does: https://www.postgresql.org/docs/16/protocol-message-formats.html
"""

import json
import socket
import struct
from dataclasses import dataclass

HOST = "127.0.0.1"
RESUME_SECONDS = 15.0
"""The usual time until Aurora responds. After a day asleep, it is 30 s or more."""
REFUSAL_SECONDS = 3.0

HEAD = struct.Struct("!II")
"""The length and the code at the beginning of a connection's first message."""
CONTROL = (1234 << 16) + 5700
"""Of no message of PostgreSQL."""


@dataclass(frozen=True)
class State:
    """The database's state (awake, paused or resuming), since when, and its sessions.

    `since` is a Unix time. `client_ports` has, for each session, the port of the client that
    Postgres sees, which is the forwarder's, and that of the client itself.
    """

    name: str
    since: float
    client_ports: dict[int, int]

    @property
    def sessions(self) -> int:
        """The number of sessions."""
        return len(self.client_ports)


def request_state(port: int, password: str) -> State:
    """Return the state that the forwarder on `port` reports. Raises `OSError`."""
    return _request(port, password, "state")


def request_pause(port: int, password: str, resume_seconds: float = RESUME_SECONDS) -> State:
    """Pause the database behind the forwarder on `port`, unless it has sessions.

    Returns its new state. Raises `OSError`.
    """
    return _request(port, password, "pause", resume_seconds)


def request_pause_after(port: int, password: str, seconds: float | None) -> State:
    """Let the database pause by itself after so many seconds without sessions; None: never.

    Returns its state. Raises `OSError`.
    """
    return _request(port, password, "pause_after", seconds)


def _request(port: int, password: str, command: str, seconds: float | None = None) -> State:
    content = {"password": password, "command": command, "seconds": seconds}
    message = json.dumps(content).encode()
    with socket.create_connection((HOST, port), timeout=10) as connection:
        connection.sendall(HEAD.pack(HEAD.size + len(message), CONTROL) + message)
        with connection.makefile("rb") as response:
            body = response.read()
    if not body:
        raise ConnectionRefusedError("The forwarder refused the password.")
    state = json.loads(body)
    ports = {int(own): client for own, client in state["client_ports"].items()}
    return State(**{**state, "client_ports": ports})
