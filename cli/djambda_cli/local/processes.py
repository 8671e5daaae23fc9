"""The processes of a local cloud: no server outlives the supervisor."""

import contextlib
import ctypes
import signal
import subprocess
import sys

import psutil

STOP_SECONDS = 20
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""https://man7.org/linux/man-pages/man2/prctl.2.html"""


def adopt_orphans() -> None:
    """On Linux, become the parent of every descendant whose parent ends, to kill it at the end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """On Linux, have the kernel interrupt the server when the supervisor is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def shut_down(process: subprocess.Popen[bytes]) -> None:
    """Stop a server with SIGINT, for all servers a fast but clean shutdown.

    Kill the processes that it leaves behind, such as a function that never ends its response.
    """
    if process.poll() is not None:
        return
    descendants = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    kill(descendants)


def kill_sessions() -> None:
    """Kill the processes of a Postgres whose main process was killed; they use its data."""
    children = psutil.Process().children(recursive=True)
    kill([process for process in children if process.name() == "postgres"])


def kill(processes: list[psutil.Process]) -> None:
    """Kill processes and wait for their end."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, STOP_SECONDS)
