"""The loopback ports of a local cloud: choose a free one."""

import socket
from pathlib import Path

from djambda_cli.errors import CliError


def choose(saved: Path, *, requested: int | None, preferred: int) -> int:
    """Return `requested`, else the port in the file `saved`, else `preferred`, else any free one.

    0 means any free port. Raises `CliError` if `requested` is taken.
    """
    if requested and not _is_free(requested):
        raise CliError(
            f"Port {requested} is taken by another program. "
            "Choose another with --port, or omit --port to get a free one."
        )
    if requested is not None:
        return requested or _free_port()
    candidates = [int(saved.read_text())] if saved.exists() else []
    usable = (port for port in [*candidates, preferred] if port and _is_free(port))
    return next(usable, None) or _free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
