"""The one background process of a local cloud: it runs Postgres and the AWS emulator.

`djambda up` starts it detached. It lives as long as the cloud; its end, for whatever reason, is
the end of both servers, so nothing is ever left running. While it has an owner (the `up` that is
still working, or a test session) it also ends when the owner does, be it by a crash.

Signals: TERM stops everything in order, USR1 lets the owner go, HUP restarts the emulator, which
saves its state only when it stops.
"""

import argparse
import ctypes
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import psutil

from djambda_cli.errors import CliError
from djambda_cli.local import postgres
from djambda_cli.paths import EMULATOR_PYTHON

EMULATOR = Path(__file__).with_name("emulator.py")
STOP_SECONDS = 20
POLL_SECONDS = 0.2
PR_SET_PDEATHSIG = 1
BUSY = re.compile(rb"<StackStatus>(?!REVIEW)\w+_IN_PROGRESS</StackStatus>")


def emulator_environment(folder: Path, port: int, postgres_port: int) -> dict[str, str]:
    """The emulator's whole environment, which its Lambda functions inherit.

    Nothing of the caller's gets in but the search path and the locale: no credentials, no
    profile, no proxy. libpq's own variables send the functions' connections for the RDS host name
    to the local Postgres, so that neither the template nor Django knows that it is local.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "s3"),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": str(postgres_port),
        "PGSSLMODE": "disable",
    }


class Keeper:
    """Runs the two servers of the local cloud in `folder` until told to stop."""

    def __init__(self, folder: Path, *, port: int, postgres_port: int, owner: int | None) -> None:
        self.folder = folder
        self.port = port
        self.postgres_port = postgres_port
        self.owner = psutil.Process(owner) if owner else None
        self.stopping = False
        self.restarting = False

    def run(self) -> int:
        """Start both servers, watch them, stop them; 0 unless one of them died by itself."""
        signal.signal(signal.SIGTERM, self._stop)
        # A terminal's Ctrl-C is for `up` alone. Not SIG_IGN: the servers would inherit that.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGUSR1, self._release)
        signal.signal(signal.SIGHUP, self._restart)
        database = self._start_postgres()
        emulator = self._start_emulator()
        died = None
        while not (self.stopping or died):
            time.sleep(POLL_SECONDS)
            if self.owner and not self.owner.is_running():
                _say("the process that this cloud was started for has ended: stopping")
                break
            if self.restarting:
                self.restarting = False
                _end(emulator)
                emulator = self._start_emulator()
            died = next(
                (
                    name
                    for name, process in (("Postgres", database), ("emulator", emulator))
                    if process.poll() is not None
                ),
                None,
            )
        if died:
            _say(f"the {died} has ended by itself: stopping")
        self._end_emulator(emulator)
        _end(database)
        return 1 if died else 0

    def _start_postgres(self) -> subprocess.Popen[bytes]:
        command, user = postgres.command(self.folder / "postgres", self.postgres_port)
        return self._start(command, {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, user)

    def _start_emulator(self) -> subprocess.Popen[bytes]:
        environment = emulator_environment(self.folder, self.port, self.postgres_port)
        return self._start([str(EMULATOR_PYTHON), str(EMULATOR)], environment, None)

    def _end_emulator(self, emulator: subprocess.Popen[bytes]) -> None:
        """In order, unless a deploy is under way, which nobody would go on with after a restart.

        Then what it saved before that deploy stays; and if that was the first, nothing: buckets are
        on the disk at once, and would be in the way of the next.
        """
        interrupted = _is_deploying(self.port)
        if interrupted:
            _say("a deploy is under way: the state from before it stays")
            emulator.kill()
        _end(emulator)
        if interrupted and not any((self.folder / "state").glob("*.json")):
            shutil.rmtree(self.folder / "s3", ignore_errors=True)

    def _start(
        self, command: list[str], environment: dict[str, str], user: int | None
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            user=user,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 -- This process has no threads.
        )

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _release(self, _signal: int, _frame: FrameType | None) -> None:
        self.owner = None

    def _restart(self, _signal: int, _frame: FrameType | None) -> None:
        self.restarting = True


def _die_with_parent() -> None:
    """Linux: have the kernel end the server when the keeper is killed outright."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _is_deploying(port: int) -> bool:
    """Whether CloudFormation is at work in the emulator."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    service = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/cloudformation/aws4_request"
    try:
        connection.request(
            "POST",
            "/",
            "Action=DescribeStacks&Version=2010-05-15",
            {"Authorization": service, "Content-Type": "application/x-www-form-urlencoded"},
        )
        return bool(BUSY.search(connection.getresponse().read()))
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Shut a server down: to both, INT means in order but now."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%F %T')} keeper: {line}\n")
    sys.stdout.flush()


def main() -> int:
    """Entry point of `python -m djambda_cli.local.supervisor`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--postgres-port", type=int, required=True)
    parser.add_argument("--owner", type=int)
    arguments = parser.parse_args()
    with (arguments.folder / "keeper.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another keeper holds this folder")
            return 1
        keeper = Keeper(
            arguments.folder,
            port=arguments.port,
            postgres_port=arguments.postgres_port,
            owner=arguments.owner,
        )
        running = arguments.folder / "running.json"
        if daemon := os.fork():
            running.write_text(
                json.dumps(
                    {
                        "pid": daemon,
                        "started": psutil.Process(daemon).create_time(),
                        "port": arguments.port,
                        "postgres_port": arguments.postgres_port,
                    }
                )
            )
            return 0
        try:
            return keeper.run()
        except CliError as error:
            _say(f"{error}\n{error.output}")
            return 1
        finally:
            running.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
