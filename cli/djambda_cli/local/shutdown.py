"""Wait until a local cloud has left nothing running: after `down`, and before it starts again.

A supervisor stops its servers and their functions before it ends. If it was killed, the kernel
interrupts the servers, which need a moment; a function may ignore that and is killed here.
"""

import contextlib
import fcntl
import time
from pathlib import Path

import psutil

from djambda_cli.errors import CliError
from djambda_cli.local.supervisor import LOCK

LOCK_SECONDS = 60
ORPHAN_SECONDS = 10


def wait_until_complete(folder: Path) -> None:
    """Wait for a supervisor that is shutting down, then end the processes of a killed one.

    Raises `CliError` if the supervisor does not end in time.
    """
    with (folder / LOCK).open("a") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(lock.fileno()):
            if time.monotonic() > deadline:
                raise CliError(
                    f"The local cloud in {folder} did not shut down within {LOCK_SECONDS} s. "
                    "Its log is cloud.log there."
                )
            time.sleep(0.1)
        orphans = [process for process in psutil.process_iter() if _is_orphan(process, folder)]
        _, alive = psutil.wait_procs(orphans, timeout=ORPHAN_SECONDS)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=ORPHAN_SECONDS)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_orphan(process: psutil.Process, folder: Path) -> bool:
    """Return whether it is Postgres, the emulator or a function of the cloud in `folder`."""
    try:
        environ, command = process.environ(), process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    data = str(folder / "postgres" / "data")
    tmp = str(folder / "tmp")
    return environ.get("TMPDIR") == tmp or data in command or tmp in command
