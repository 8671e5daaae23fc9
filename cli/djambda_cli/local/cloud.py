"""The local cloud as commands use it: start it, stop it, and connect tools to it.

A local cloud is a folder (`cloud` in the state folder; tests use their own) with a Postgres, an AWS
emulator and their state; `supervisor.py` runs them. Tools reach it only with `environment()`, which
sets the endpoint and the credentials of this cloud, whatever the caller's environment contains.
"""

import http.client
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from djambda_cli.errors import CliError
from djambda_cli.local import pause, ports, postgres, shutdown
from djambda_cli.local.code_id import code_id
from djambda_cli.local.credentials import Credentials, load_or_create
from djambda_cli.local.environment import ISOLATION, inherited, machine_architecture
from djambda_cli.local.supervisor import PYTHONS, RUNNING
from djambda_cli.paths import CHECKOUT, DEFAULT_CLOUD, LOCAL, search_path

PREFERRED_PORT = 4566
ACCOUNT = "000000000000"
REGION = "us-east-1"
DATABASE_USER = DATABASE_NAME = "djambda"
START_SECONDS = 60
STOP_SECONDS = 60
NEEDED_BYTES = 500_000_000


@dataclass(frozen=True)
class Running:
    """A running local cloud: its supervisor's process id, its ports, the emulator's script.

    `postgres_port` is the forwarder's, which functions use; Postgres is at `server_port`. `code` is
    `code_id` of the djambda that started it. Clouds started by djambda 0.1.0 record neither it nor
    the script.
    """

    pid: int
    port: int
    postgres_port: int
    server_port: int
    emulator: Path | None
    code: str

    @property
    def is_current(self) -> bool:
        """True if this version of djambda runs it."""
        return self.code == code_id()


class LocalCloud:
    """The local cloud in `folder`."""

    def __init__(self, folder: Path = DEFAULT_CLOUD) -> None:
        self.folder = folder

    @property
    def variables_file(self) -> Path:
        """The file to source in a shell, next to the folder."""
        return self.folder.with_name("variables")

    @property
    def options(self) -> str:
        """The options, after a space, that select this cloud in a command line."""
        return f" --local{self.folder_option}"

    @property
    def folder_option(self) -> str:
        """The option, after a space, that selects this cloud for `up` and `down`."""
        default = self.folder == DEFAULT_CLOUD
        return "" if default else f" --folder {shlex.quote(str(self.folder))}"

    def command(self, name: str) -> str:
        """Return the command line of `up` or `down` for this cloud, to show to the user.

        In a checkout, `make` also works before its tools are on the `PATH`.
        """
        if CHECKOUT and self.folder == DEFAULT_CLOUD:
            return f"make {name}"
        return f"djambda {name}{self.folder_option}"

    @property
    def log(self) -> Path:
        """The log of the supervisor, Postgres and the emulator."""
        return self.folder / "cloud.log"

    @property
    def credentials(self) -> Credentials:
        """The generated credentials of this cloud's AWS APIs and its Postgres."""
        return load_or_create(self.folder)

    def add_python(self, version: str, interpreter: Path) -> None:
        """Let this cloud run functions on a version of Python, with this interpreter."""
        link = self.folder / PYTHONS / f"python{version}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(interpreter)

    def running(self) -> Running | None:
        """Return the running cloud, or None if it is stopped or its supervisor was killed."""
        try:
            record = json.loads((self.folder / RUNNING).read_text())
            supervisor = psutil.Process(record["pid"])
            if abs(supervisor.create_time() - record["started"]) > 1:
                return None  # Another process has this id now.
            if supervisor.status() == psutil.STATUS_ZOMBIE:
                return None
            owner = record.get("owner")
            if owner and not psutil.pid_exists(owner):
                return None  # It is about to stop.
        except (FileNotFoundError, json.JSONDecodeError, psutil.NoSuchProcess):
            return None
        emulator = Path(record["emulator"]) if "emulator" in record else None
        code = record.get("code", "")
        postgres_port = record["postgres_port"]
        server_port = record.get("server_port", postgres_port)
        return Running(record["pid"], record["port"], postgres_port, server_port, emulator, code)

    def require_running(self) -> Running:
        """Return the running cloud.

        Raises `CliError` if it is not running, or if its supervisor could not restart the emulator
        because the script has moved since it started.
        """
        running = self.running()
        if running is None:
            raise CliError(f"The local cloud is not running. Start it: {self.command('up')}")
        if running.emulator is None or not running.emulator.exists():
            raise CliError(
                "The local cloud was started by another version of djambda. "
                "Restart it, which keeps its data: "
                f"{self.command('down')}, then {self.command('up')}"
            )
        return running

    def start(self, *, port: int | None, owner: int) -> Running:
        """Start Postgres and the emulator, and wait until both respond.

        `port` None selects the last port, else 4566, else a free one; 0 selects a free one. Until
        `detach` is called, the cloud stops when the process `owner` ends. Raises `CliError` with
        the end of the log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._protect()
        shutdown.wait_until_complete(self.folder)
        free = shutil.disk_usage(self.folder).free
        if free < NEEDED_BYTES:
            raise CliError(
                f"The disk of {self.folder} has {free / 1e6:.0f} MB free, and the local cloud "
                f"needs {NEEDED_BYTES / 1e6:.0f} MB. Free some space, then run this again."
            )
        saved_port, saved_postgres_port = self.folder / "port", self.folder / "postgres-port"
        port = ports.choose(saved_port, requested=port, preferred=PREFERRED_PORT)
        postgres_port = ports.choose(saved_postgres_port, requested=None, preferred=0)
        server_port = ports.choose(saved_postgres_port, requested=0, preferred=0)
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        postgres.initialize(
            self.folder / "postgres",
            user=DATABASE_USER,
            database=DATABASE_NAME,
            password=self.credentials.database_password,
        )
        with self.log.open("wb") as log:
            subprocess.run(
                [sys.executable, "-m", "djambda_cli.local.supervisor", str(self.folder)]
                + ["--port", str(port), "--postgres-port", str(postgres_port)]
                + ["--server-port", str(server_port), "--owner", str(owner)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=inherited(os.environ, "PYTHONPATH") | ISOLATION,
                start_new_session=True,
                check=False,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (self._database_is_ready(postgres_port) and _emulator_is_ready(port)):
            if self.running() is None or time.monotonic() > deadline:
                self.stop()
                raise CliError(
                    f"The local cloud did not start. Its log: {self.log}", output=self.log_tail()
                )
            time.sleep(0.1)
        saved_port.write_text(str(port))
        saved_postgres_port.write_text(str(postgres_port))
        return self.require_running()

    def _protect(self) -> None:
        """Keep other users out of the cloud's folder, and of `.local` if it is in there."""
        mode = 0o711 if postgres.runs_as_other_user() else 0o700
        for folder in {self.folder, LOCAL} & {self.folder, *self.folder.parents}:
            folder.chmod(mode)
            for file in folder.iterdir():
                if file.is_file():
                    file.chmod(0o600)

    def detach(self) -> None:
        """Keep the cloud running after the process that started it ends."""
        os.kill(self.require_running().pid, signal.SIGUSR1)

    def restart_emulator(self) -> None:
        """Restart the emulator: it writes its state to disk only when it stops."""
        running = self.require_running()
        os.kill(running.pid, signal.SIGHUP)
        deadline = time.monotonic() + START_SECONDS
        while _emulator_is_ready(running.port) and time.monotonic() < deadline:
            time.sleep(0.02)
        while not _emulator_is_ready(running.port):
            if time.monotonic() > deadline:
                raise CliError(
                    f"The AWS emulator did not restart. Its log: {self.log}",
                    output=self.log_tail(),
                )
            time.sleep(0.1)

    def stop(self) -> bool:
        """Shut the cloud down; return whether it was running."""
        running = self.running()
        if running is None:
            if self.folder.exists():
                shutdown.wait_until_complete(self.folder)
            return False
        supervisor = psutil.Process(running.pid)
        supervisor.terminate()
        try:
            supervisor.wait(timeout=STOP_SECONDS)
        except psutil.TimeoutExpired:
            raise CliError(
                f"The local cloud did not stop within {STOP_SECONDS} s. Its log: {self.log}. "
                f"To kill it: kill -KILL {running.pid}"
            ) from None
        return True

    def _database_is_ready(self, port: int) -> bool:
        try:
            pause.request_state(port, self.credentials.database_password)
        except OSError:
            return False
        return postgres.is_ready(self.folder / "postgres" / "data")

    def reset_site(self) -> None:
        """After the stack is deleted, empty the database and delete the variables file.

        Both exist outside the emulator, so that CloudFormation does not delete them.
        """
        postgres.replace_database(
            self.require_running().server_port,
            user=DATABASE_USER,
            database=DATABASE_NAME,
            password=self.credentials.database_password,
        )
        self.variables_file.unlink(missing_ok=True)

    def wipe(self) -> None:
        """Delete the stopped cloud's state and data, and the file with its credentials."""
        self.variables_file.unlink(missing_ok=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for a tool (`aws`, `cdk`, boto3) that must reach only this cloud.

        It has none of the caller's variables that could name an account, a profile, an endpoint or
        a proxy; the shared configuration files are disabled, and the credentials are this cloud's.
        Even a call that ignored the endpoint could not reach a real account.
        """
        running = self.require_running()
        return inherited(environ) | self.variables(running, environ) | {"PATH": search_path()}

    def variables(self, running: Running, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that select this cloud and the deployment in it."""
        return ISOLATION | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{running.port}",
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
            "AWS_REGION": REGION,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "true",
            **self.configuration(environ),
        }

    def configuration(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables with the configuration of the deployment in it.

        Of those of the caller, it has the settings that are different here.
        """
        egress = environ.get("EGRESS", "").strip()
        return {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCOUNT_ID": ACCOUNT,
            "ENVIRONMENT": "local",
            "APP_NAME": "djambda",
            "EPHEMERAL": "true",
            "LAMBDA_ARCHITECTURE": machine_architecture(),
            "AVAILABILITY_ZONES": "",
            "DOMAIN_NAME": "",  # The emulator has no hosted zones.
            "HOSTED_ZONE_ID": "",
            # Nor images of instances; functions use this machine's network.
            "EGRESS": "ipv6" if egress in {"nat-instance", "nat-gateway"} else egress,
            "MAIL_IDENTITY": "create",  # Nor any identity.
            "DJANGO_SUPERUSER_USERNAME": "admin",
        }

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def emulator_url(url: str, port: int) -> str:
    """Return the emulator's URL for an API that is at `https://ID.execute-api...` on AWS."""
    aws_url = urlsplit(url)
    api_id = aws_url.netloc.partition(".")[0]
    return f"http://{api_id}.execute-api.localhost:{port}{aws_url.path}"


def domain_url(url: str) -> str:
    """Return another URL of the same local site, which has no prefix, as with an own domain."""
    return f"http://{urlsplit(url).netloc.replace('.execute-api.', '.')}/"


def _emulator_is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == 200  # noqa: PLR2004
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
