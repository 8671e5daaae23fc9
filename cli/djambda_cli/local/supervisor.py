"""The supervisor: the background process of a local cloud, which runs its servers.

They are Postgres, the forwarder in front of it, and the emulator. `djambda up` starts the
supervisor. When it ends, for any reason, the servers end too, so that no process is left behind. It
restarts Postgres and the forwarder if they end by themselves, for example because they were killed;
the emulator would lose its state, so the supervisor ends with it. While it has an owner (a `djambda
up` that has not finished, or a test session), it also ends when the owner ends or crashes.

Signals: TERM shuts everything down, USR1 detaches from the owner, HUP restarts the emulator, which
saves its state only when it stops.
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from types import FrameType
from zoneinfo import TZPATH

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from djambda_cli.errors import CliError
from djambda_cli.local import credentials, emulator_store, mailbox, postgres, processes
from djambda_cli.local.code_id import code_id
from djambda_cli.local.credentials import Credentials
from djambda_cli.paths import EMULATOR_PYTHON
from djambda_common import schedule_expressions

EMULATOR = Path(__file__).with_name("emulator.py")
RUNNING = "running.json"
"""In the cloud's folder while it runs: the supervisor's process id, the ports, the owner."""
LOCK = "supervisor.lock"
"""In the same folder, locked by the supervisor until all servers have stopped."""
PYTHONS = "pythons"
"""In the same folder: links to the Pythons of functions, with the names of Lambda's runtimes."""
POLL_SECONDS = 0.2
RESTARTS, RESTART_SECONDS = 10, 60
"""So many restarts are tried in such a time."""


def emulator_environment(
    folder: Path, port: int, postgres_port: int, credentials: Credentials
) -> dict[str, str]:
    """Return the emulator's complete environment, which its Lambda functions inherit.

    Of the caller's variables it has only the search path: no profile, no proxy, and only the local
    cloud's own credentials.
    libpq's own variables redirect the functions' connections from the RDS host name to the
    forwarder, so that the template and Django need no special case.
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
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_EC2_METADATA_DISABLED": "true",
        "DATABASE_PASSWORD": credentials.database_password,
        "EGRESS_ALLOWS_LOOPBACK": "true",
        "FUNCTION_PYTHONS": str(folder / PYTHONS),
        "MAIL_FOLDER": str(folder / mailbox.FOLDER),
        "WAITING_FILE": str(folder / emulator_store.FILE),
        "SCHEDULE_EXPRESSIONS": schedule_expressions.__file__,
        # The emulator has no package with time zones, and small machines have none either.
        "PYTHONTZPATH": os.pathsep.join([*TZPATH, str(files("tzdata") / "zoneinfo")]),
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": str(postgres_port),
        "PGSSLMODE": "require",
    }


class Supervisor:
    """Runs the servers of the local cloud in `folder` until a signal stops it.

    Functions connect to `postgres_port`, the forwarder's; Postgres itself is at `server_port`.
    """

    def __init__(
        self, folder: Path, *, port: int, postgres_port: int, server_port: int, owner: int | None
    ) -> None:
        self.folder = folder
        self.port = port
        self.postgres_port = postgres_port
        self.server_port = server_port
        self.restarts: list[float] = []
        self.owner = psutil.Process(owner) if owner else None
        self.credentials = credentials.load_or_create(folder)
        self.stopping = False
        self.restarting = False

    def run(self) -> int:
        """Start the servers, watch them, stop them; return 1 if one of them cannot run."""
        signal.signal(signal.SIGTERM, self._request_stop)
        # Ctrl-C in the terminal is meant for `up`. Not SIG_IGN: the servers would inherit it.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGUSR1, self._detach)
        signal.signal(signal.SIGHUP, self._request_restart)
        processes.adopt_orphans()
        database = self._start_postgres()
        forwarder = self._start_forwarder()
        emulator = self._start_emulator()
        exited = None
        while not (self.stopping or exited):
            time.sleep(POLL_SECONDS)
            if self.owner and not self.owner.is_running():
                _log("the owner process has ended: stopping")
                break
            if self.restarting:
                self.restarting = False
                processes.shut_down(emulator)
                emulator = self._start_emulator()
            if emulator.poll() is not None:
                exited = "the emulator"
            elif database.poll() is not None:
                if self._may_restart("Postgres"):
                    processes.kill_sessions()
                    database = self._start_postgres()
                else:
                    exited = "Postgres"
            elif forwarder.poll() is not None:
                if self._may_restart("the forwarder"):
                    forwarder = self._start_forwarder()
                else:
                    exited = "the forwarder"
        if exited:
            _log(f"{exited} has exited unexpectedly: stopping")
        (self.folder / RUNNING).unlink(missing_ok=True)
        self._stop_emulator(emulator)
        processes.shut_down(forwarder)
        processes.shut_down(database)
        processes.kill(psutil.Process().children(recursive=True))
        return 1 if exited else 0

    def _start_postgres(self) -> subprocess.Popen[bytes]:
        command, user = postgres.command(self.folder / "postgres", self.server_port)
        return self._start(command, {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, user)

    def _start_forwarder(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "djambda_cli.local.forwarder"]
        ports = ["--port", str(self.postgres_port), "--server-port", str(self.server_port)]
        data = ["--data", str(self.folder / "postgres" / "data")]
        password = {"DATABASE_PASSWORD": self.credentials.database_password}
        return self._start([*command, *ports, *data], {**os.environ, **password}, None)

    def _may_restart(self, server: str) -> bool:
        """Log that a server has exited; return False if servers did too often."""
        present = time.monotonic()
        self.restarts = [then for then in self.restarts if then > present - RESTART_SECONDS]
        self.restarts.append(present)
        _log(f"{server} has exited unexpectedly")
        return len(self.restarts) <= RESTARTS

    def _start_emulator(self) -> subprocess.Popen[bytes]:
        environment = emulator_environment(
            self.folder, self.port, self.postgres_port, self.credentials
        )
        return self._start([str(EMULATOR_PYTHON), str(EMULATOR)], environment, None)

    def _stop_emulator(self, emulator: subprocess.Popen[bytes]) -> None:
        """Shut the emulator down, or kill it during a deploy, so that it does not save its state.

        The emulator does not continue a deploy after a restart, so the state from before the deploy
        must remain. After a first deploy there is none, but buckets are on the disk already: delete
        them, or they would conflict with those of the next deploy.
        """
        interrupted = _is_deploying(self.port, self.credentials)
        if interrupted:
            _log("interrupted a deploy: the state from before it is kept")
            emulator.kill()
        processes.shut_down(emulator)
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
            preexec_fn=processes.end_with_parent,  # noqa: PLW1509 (this process has no threads)
        )

    def _request_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _detach(self, _signal: int, _frame: FrameType | None) -> None:
        self.owner = None
        record = json.loads((self.folder / RUNNING).read_text())
        _write_running(self.folder, record | {"owner": None})

    def _request_restart(self, _signal: int, _frame: FrameType | None) -> None:
        self.restarting = True


def _is_deploying(port: int, credentials: Credentials) -> bool:
    """Return whether a stack operation is in progress in the emulator."""
    cloudformation = boto3.client(
        "cloudformation",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}),
    )
    try:
        stacks = cloudformation.describe_stacks()["Stacks"]
    except (BotoCoreError, ClientError):
        return False
    statuses = {stack["StackStatus"] for stack in stacks}
    return any(status.endswith("_IN_PROGRESS") for status in statuses - {"REVIEW_IN_PROGRESS"})


def _write_running(folder: Path, record: dict[str, object]) -> None:
    new = folder / f"{RUNNING}.new"  # Renamed when complete: other processes read the file.
    new.write_text(json.dumps(record))
    new.rename(folder / RUNNING)


def _log(message: str) -> None:
    sys.stdout.write(f"{time.strftime('%F %T')} supervisor: {message}\n")
    sys.stdout.flush()


def main() -> int:
    """Run `python -m djambda_cli.local.supervisor`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--postgres-port", type=int, required=True)
    parser.add_argument("--server-port", type=int, required=True)
    parser.add_argument("--owner", type=int)
    arguments = parser.parse_args()
    os.umask(0o077)  # All that the cloud writes is for its owner only.
    with (arguments.folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log("another supervisor runs in this folder")
            return 1
        supervisor = Supervisor(
            arguments.folder,
            port=arguments.port,
            postgres_port=arguments.postgres_port,
            server_port=arguments.server_port,
            owner=arguments.owner,
        )
        if daemon := os.fork():
            _write_running(
                arguments.folder,
                {
                    "pid": daemon,
                    "started": psutil.Process(daemon).create_time(),
                    "port": arguments.port,
                    "postgres_port": arguments.postgres_port,
                    "server_port": arguments.server_port,
                    "emulator": str(EMULATOR),
                    "code": code_id(),
                    "owner": arguments.owner,
                },
            )
            return 0
        try:
            return supervisor.run()
        except CliError as error:
            _log(f"{error}\n{error.output}")
            return 1
        finally:
            (arguments.folder / RUNNING).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
