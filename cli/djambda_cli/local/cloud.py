"""The local cloud as the commands see it: start, stop, is it running, how to talk to it.

A local cloud is a folder (`.local/cloud`; tests use their own) with a Postgres, an AWS emulator
and their state, kept running by `keeper.py`. `environment()` is the only way to call a tool
against it: endpoint and dummy credentials are pinned to loopback, whatever the caller has.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from djambda_cli.errors import CliError
from djambda_cli.local import postgres
from djambda_cli.paths import DEFAULT_CLOUD, search_path
from djambda_cli.project import layer

PREFERRED_PORT = 4566
ACCOUNT = "000000000000"
REGION = "us-east-1"
DATABASE_USER = DATABASE_NAME = "djambda"
START_SECONDS = 60
NEEDED_BYTES = 500_000_000

NOT_INHERITED = ("AWS_", "CDK_", "PG", "POSTGRES_", "DJANGO_", "PYTHON", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Running:
    """A running local cloud: its keeper's process id and its two ports."""

    pid: int
    port: int
    postgres_port: int


class LocalCloud:
    """The local cloud in `folder`."""

    def __init__(self, folder: Path = DEFAULT_CLOUD) -> None:
        self.folder = folder

    @property
    def variables_file(self) -> Path:
        """The file to source in a shell: `.local/variables` for the default cloud."""
        return self.folder.with_name("variables")

    @property
    def log(self) -> Path:
        """What the keeper, Postgres and the emulator print."""
        return self.folder / "cloud.log"

    def running(self) -> Running | None:
        """The keeper that runs this cloud; None if there is none or its file is stale."""
        try:
            said = json.loads((self.folder / "running.json").read_text())
            keeper = psutil.Process(said["pid"])
            if abs(keeper.create_time() - said["started"]) > 1:
                return None  # The process id is another program's by now.
            if keeper.status() == psutil.STATUS_ZOMBIE:
                return None
        except (FileNotFoundError, json.JSONDecodeError, psutil.NoSuchProcess):
            return None
        return Running(said["pid"], said["port"], said["postgres_port"])

    def require_running(self) -> Running:
        """The running cloud, or a CliError that says how to start it."""
        running = self.running()
        if running is None:
            raise CliError("The local cloud is not running. Start it: make up")
        return running

    def start(self, *, port: int | None, owner: int) -> Running:
        """Start Postgres and the emulator, and wait until both answer.

        `port` None takes the last port, else 4566, else a free one; 0 a free one. The cloud ends
        with the process `owner` until `release` is called. Raises CliError with the log's end.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < NEEDED_BYTES:
            raise CliError(
                f"The disk of {self.folder} has {free / 1e6:.0f} MB free, and the local cloud "
                f"needs {NEEDED_BYTES / 1e6:.0f} MB. Free some space, then run this again."
            )
        port = self._port("port", asked=port, preferred=PREFERRED_PORT)
        postgres_port = self._port("postgres-port", asked=None, preferred=0)
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        postgres.initialize(self.folder / "postgres", user=DATABASE_USER, database=DATABASE_NAME)
        with self.log.open("wb") as log:
            subprocess.run(
                [sys.executable, "-m", "djambda_cli.local.supervisor", str(self.folder)]
                + ["--port", str(port), "--postgres-port", str(postgres_port)]
                + ["--owner", str(owner)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=False,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (_listens(postgres_port) and _emulator_is_ready(port)):
            if self.running() is None or time.monotonic() > deadline:
                self.stop()
                raise CliError(
                    f"The local cloud did not start. Its log: {self.log}", output=self.log_tail()
                )
            time.sleep(0.1)
        (self.folder / "port").write_text(str(port))
        (self.folder / "postgres-port").write_text(str(postgres_port))
        return self.require_running()

    def release(self) -> None:
        """Let the cloud outlive the process that started it."""
        os.kill(self.require_running().pid, signal.SIGUSR1)

    def save(self) -> None:
        """Restart the emulator, which writes its state only when it stops."""
        running = self.require_running()
        os.kill(running.pid, signal.SIGHUP)
        deadline = time.monotonic() + START_SECONDS
        while _emulator_is_ready(running.port) and time.monotonic() < deadline:
            time.sleep(0.02)
        while not _emulator_is_ready(running.port):
            if time.monotonic() > deadline:
                raise CliError(
                    f"The AWS emulator did not come back. Its log: {self.log}",
                    output=self.log_tail(),
                )
            time.sleep(0.1)

    def stop(self) -> bool:
        """Stop the cloud in order; whether it was running."""
        running = self.running()
        if running is None:
            return False
        keeper = psutil.Process(running.pid)
        keeper.terminate()
        try:
            keeper.wait(timeout=60)
        except psutil.TimeoutExpired:
            raise CliError(
                f"The local cloud does not stop. Its log: {self.log}. "
                f"To end it at once: kill -KILL {running.pid}"
            ) from None
        return True

    def forget_site(self) -> None:
        """What goes when the stack is deleted, and is outside of the emulator: the database, and
        the way in."""
        port = self.require_running().postgres_port
        postgres.empty(port, user=DATABASE_USER, database=DATABASE_NAME)
        self.variables_file.unlink(missing_ok=True)

    def wipe(self) -> None:
        """Delete the stopped cloud's state and data."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment for a tool (`aws`, `cdk`, boto3) that is to reach this cloud only.

        No variable of the caller's that could name an account, a profile, an endpoint or a proxy
        is passed on, the shared configuration files are off, and the credentials are dummies: even
        a call that ignored the endpoint could not get into a real account.
        """
        running = self.require_running()
        kept = {
            name: value
            for name, value in environ.items()
            if not name.upper().startswith(NOT_INHERITED) and not name.upper().endswith("_PROXY")
        }
        return kept | self.variables(running) | {"PATH": search_path()}

    def variables(self, running: Running) -> dict[str, str]:
        """What makes AWS's tools talk to this cloud, and the app's name and environment there."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{running.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCOUNT_ID": ACCOUNT,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "true",
            "ENVIRONMENT": "local",
            "APP_NAME": "djambda",
            "EPHEMERAL": "true",
            "LAMBDA_ARCHITECTURE": layer.this_machine(),
            "DOMAIN_NAME": "",  # There are no hosted zones here.
            "HOSTED_ZONE_ID": "",
            "DJANGO_SUPERUSER_USERNAME": "admin",
        }

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _port(self, name: str, *, asked: int | None, preferred: int) -> int:
        if asked and not _is_free(asked):
            raise CliError(
                f"Port {asked} is taken by another program. "
                "Choose another with --port, or leave it out to get a free one."
            )
        if asked is not None:
            return asked or _free()
        last = self.folder / name
        candidates = [int(last.read_text())] if last.exists() else []
        return next((port for port in [*candidates, preferred] if port and _is_free(port)), _free())


def emulated(deployed: str, port: int) -> str:
    """Where an emulator serves what is `https://ID.execute-api.REGION.../` on AWS."""
    url = urlsplit(deployed)
    api_id = url.netloc.partition(".")[0]
    return f"http://{api_id}.execute-api.localhost:{port}{url.path}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _emulator_is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == 200  # noqa: PLR2004
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
