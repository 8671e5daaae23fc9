"""The resources of this machine for emulated functions: processes, folders, packages and memory.

Each function runs with the interpreter of its runtime and without the emulator's packages. Of
those, it can import only what Lambda's own Python has.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from ministack.services import lambda_svc

PROCESS = Path(__file__).with_name("function_process.py")
RUNTIME_PACKAGES = ("boto3", "awslambdaric")
"""The packages of Lambda's Python, with their dependencies:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html"""
PYTHON = f"python3.{sys.version_info.minor}"
PACKAGE_NAME = re.compile(r"[A-Za-z0-9._-]+")
ISOLATIONS = {
    "namespace": "Functions have a read-only file system and a separate /tmp.",
    "landlock": "Functions can write only to /tmp, which they share.",
    "none": "WARNING: Functions can write anywhere, because this machine cannot restrict them.",
}
"""See `function_sandbox.py`; the first that this machine allows is used."""
MEMORY_POLL_SECONDS = 0.05
PAGE = os.sysconf("SC_PAGE_SIZE")
LENGTH = struct.Struct("!Q")
"""Each message on the socket to a function starts with its length."""


class Watched(Protocol):
    """A running environment."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def check_memory(self, used: int) -> None:
        """Take note of the bytes that it uses."""

    def interrupt(self) -> None:
        """Let the current invocation fail."""


@dataclass
class Host:
    """The resources that all functions share: folders, Lambda's packages, the isolation."""

    folder: Path
    isolation: str = ""
    running: set[Watched] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def packages(self) -> Path:
        """The folder that functions see as `/var/lang/lib/python3.13`, or another version.

        In other versions, the modules in C have substitutes in Python.
        """
        return self.folder / "packages"

    @property
    def mount_point(self) -> Path:
        """An empty folder. Each function mounts its root there, invisible to all others."""
        return self.folder / "root"

    def prepare(self) -> None:
        """Create the folders, and find out how this machine can restrict functions."""
        self.mount_point.mkdir(parents=True, exist_ok=True)
        for name in sorted(_with_dependencies(RUNTIME_PACKAGES)):
            _copy_package(name, self.packages / "site-packages")
        self.isolation = next(kind for kind in ISOLATIONS if self._can_isolate(kind))
        sys.stdout.write(f"{ISOLATIONS[self.isolation]}\n")
        threading.Thread(target=self._watch_memory, daemon=True).start()

    def unpacked(self, archives: Iterable[bytes]) -> Path:
        """Return a folder with the content of zip archives, the later over the earlier."""
        archives = list(archives)
        digest = hashlib.sha256(b"".join(hashlib.sha256(each).digest() for each in archives))
        folder = self.folder / "unpacked" / digest.hexdigest()
        if not folder.exists():
            folder.parent.mkdir(exist_ok=True)
            new = Path(tempfile.mkdtemp(dir=folder.parent))
            for archive in archives:
                with zipfile.ZipFile(io.BytesIO(archive)) as file:
                    lambda_svc._extract_zip_preserving_mode(file, str(new))
            new.chmod(0o755)
            with contextlib.suppress(OSError):  # Another environment was faster.
                new.rename(folder)
        return folder

    def interrupt_running(self) -> None:
        """Let all current invocations fail."""
        with self.lock:
            running = list(self.running)
        for environment in running:
            environment.interrupt()

    def _can_isolate(self, kind: str) -> bool:
        """Return whether a process with this isolation starts."""
        if kind == "none":
            return True
        empty = str(self.unpacked([]))
        spec = {"handler": "", "task": empty, "opt": empty, "isolation": kind, "tmp_megabytes": 1}
        process, channel, pipe = start_process(self, PYTHON, spec, {})
        succeeded = process.wait() == 0
        if not succeeded:
            sys.stderr.write(f"{kind}: {(pipe.read() or b'').decode(errors='replace')}\n")
        channel.close()
        pipe.close()
        return succeeded

    def _watch_memory(self) -> None:
        """End each environment that uses more memory than its function has."""
        while True:
            time.sleep(MEMORY_POLL_SECONDS)
            with self.lock:
                running = list(self.running)
            if running:
                groups = memory_of_groups({each.pid for each in running})
                for environment in running:
                    environment.check_memory(groups.get(environment.pid, 0))


def interpreter(runtime: str) -> str:
    """Return the Python of a runtime, such as "python3.12"; "" if this cloud does not have it.

    `LocalCloud.add_python` links those that the emulator does not run on itself.
    """
    if runtime == PYTHON:
        return str(sys._base_executable)  # type: ignore[attr-defined]
    link = Path(os.environ["FUNCTION_PYTHONS"], runtime)
    return str(link.resolve()) if link.exists() else ""


def start_process(
    host: Host, runtime: str, spec: dict[str, Any], variables: dict[str, str]
) -> tuple["subprocess.Popen[bytes]", socket.socket, io.FileIO]:
    """Start a function's process; return it, the socket to it, and the pipe with its output."""
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    try:
        process = subprocess.Popen(
            # The folder is for `shutdown.py`, which finds the processes of a killed cloud by it.
            [interpreter(runtime), "-I", "-S", "-X", "utf8"]
            + [str(PROCESS), str(theirs.fileno()), tempfile.gettempdir()],
            env=variables,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    finally:
        theirs.close()
        os.close(writer)
    body = json.dumps(
        spec | {"packages": str(host.packages), "mount_point": str(host.mount_point)}
    ).encode()
    with contextlib.suppress(OSError):
        ours.sendall(LENGTH.pack(len(body)) + body)
    return process, ours, io.FileIO(reader)


def memory_of_groups(groups: set[int]) -> dict[int, int]:
    """Return the bytes of memory that each process group uses: that of the first process, and
    what its children do not share with others. Linux only; elsewhere {}.
    """
    used = dict.fromkeys(groups, 0)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            pid = int(entry.name)
            group = pid if pid in groups else os.getpgid(pid)
            if group in groups:
                _, resident, shared, *_ = map(int, (entry / "statm").read_text().split())
                used[group] += (resident if pid == group else resident - shared) * PAGE
        except (OSError, ValueError):  # It has ended.
            continue
    return used


def _with_dependencies(names: Iterable[str]) -> set[str]:
    """Return packages of the emulator's environment and all that they depend on."""
    found: set[str] = set()
    remaining = list(names)
    while remaining:
        name = remaining.pop()
        if name in found:
            continue
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # Of an extra, or of another platform.
            continue
        found.add(name)
        for requirement in requirements:
            specifier, _, marker = requirement.partition(";")
            if "extra" not in marker:
                remaining += PACKAGE_NAME.findall(specifier)[:1]
    return found


def _copy_package(name: str, folder: Path) -> None:
    """Make an installed package available in another folder."""
    for file in metadata.files(name) or []:
        source = Path(str(file.locate()))
        target = folder / file
        is_client = file.name.startswith("runtime_client.")  # Replaced by `function_process.py`.
        if ".." in file.parts or is_client or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except OSError:  # Another file system.
            target.write_bytes(source.read_bytes())
