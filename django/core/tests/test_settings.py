"""The sample's settings, deployed and on this machine."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

DJANGO = Path(__file__).resolve().parents[2]
DEPLOYED_ENVIRONMENT = {
    "ALLOWED_HOSTS": "www.example.com",
    "AWS_REGION": "eu-west-1",
    "AWS_STORAGE_BUCKET_NAME": "bucket",
    "DJANGO_SETTINGS_MODULE": "mysite.settings",
    "POSTGRES_DB": "mysite",
    "POSTGRES_SERVICE_HOST": "db.example.com",
    "POSTGRES_USER": "mysite",
    "RELEASE": "0123456789ab",
    "SECRETS_PATH": "/djambda/dev/mysite",
    "VARIABLES_SNAPSHOT": "none",
}


def run_deployed(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python code with only the environment of a deployed function."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(DJANGO),
            **DEPLOYED_ENVIRONMENT,
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


SECRETS = """
from djambda import parameters

parameters.get_parameters = lambda path, names: dict.fromkeys(names, "0123456789" * 5)
"""

CHECK_DEPLOY = f"""{SECRETS}
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "check", "--deploy", "--fail-level", "DEBUG"])
"""


def test_deployed_settings_pass_djangos_deployment_check() -> None:
    process = run_deployed(CHECK_DEPLOY)

    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("System check identified no issues")


DEPLOYED = f"""{SECRETS}
import sys
from django.conf import settings

print(settings.DEBUG, "djambda.development" in sys.modules, "djambda_cli" in sys.modules)
"""


@pytest.mark.parametrize(
    ("value", "debug"), [("", False), ("0", False), ("false", False), ("1", True), ("True", True)]
)
def test_debug_is_off_by_default(value: str, debug: bool) -> None:
    process = run_deployed(DEPLOYED, DEBUG=value)

    assert process.returncode == 0, process.stderr
    assert process.stdout == f"{debug} False False\n"


def fetch(port: int, path: str) -> tuple[int, bytes]:
    """Return status and body of a response, after waiting for the server to start."""
    for _ in range(200):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except ConnectionRefusedError:
            time.sleep(0.05)
        finally:
            connection.close()
    pytest.fail(f"Nothing listens on port {port}")


def test_site_runs_on_this_machine_without_aws() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
        cwd=DJANGO,
        env={"PATH": os.environ["PATH"], "DEBUG": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert fetch(port, "/healthz") == (200, b'{"status": "ok"}')
        assert fetch(port, "/")[0] == 200
        assert fetch(port, "/static/core/site.css")[0] == 200
    finally:
        server.send_signal(signal.SIGINT)  # As Ctrl-C; the embedded Postgres stops, too.
        server.wait(10)
