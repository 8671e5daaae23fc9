"""The local cloud's record of its supervisor, its ports, and the environment for tools."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from djambda_cli.errors import CliError
from djambda_cli.local import cloud, ports
from djambda_cli.local.cloud import LocalCloud


@pytest.fixture
def supervisor() -> Iterator[psutil.Process]:
    """A process that stands in for a running supervisor."""
    program = "import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        yield psutil.Process(process.pid)
        process.kill()


def record(folder: Path, process: psutil.Process, **changes: object) -> LocalCloud:
    """Write the file that a supervisor leaves while it runs."""
    content = {
        "pid": process.pid,
        "started": process.create_time(),
        "port": 4566,
        "postgres_port": 5432,
        **changes,
    }
    (folder / "running.json").write_text(json.dumps(content))
    return LocalCloud(folder)


def test_running_cloud_is_found_by_its_record(tmp_path: Path, supervisor: psutil.Process) -> None:
    local_cloud = record(tmp_path, supervisor, emulator=cloud.__file__)

    running = local_cloud.require_running()

    assert (running.pid, running.port, running.postgres_port) == (supervisor.pid, 4566, 5432)


def test_record_of_another_process_with_the_same_id_is_ignored(
    tmp_path: Path, supervisor: psutil.Process
) -> None:
    local_cloud = record(tmp_path, supervisor, started=supervisor.create_time() - 100)

    assert local_cloud.running() is None
    with pytest.raises(CliError, match="djambda up --folder"):
        local_cloud.require_running()


@pytest.mark.parametrize("changes", [{}, {"emulator": "/no/longer/here/emulator.py"}])
def test_cloud_of_an_older_version_must_be_restarted(
    tmp_path: Path, supervisor: psutil.Process, changes: dict[str, str]
) -> None:
    local_cloud = record(tmp_path, supervisor, **changes)

    with pytest.raises(CliError, match=r"djambda down --folder .*, then djambda up --folder"):
        local_cloud.environment(os.environ)


def test_cloud_of_an_older_version_can_be_stopped(
    tmp_path: Path, supervisor: psutil.Process
) -> None:
    assert record(tmp_path, supervisor).stop()
    assert not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE


def test_tools_get_no_variable_that_could_reach_a_real_account(
    tmp_path: Path, supervisor: psutil.Process
) -> None:
    local_cloud = record(tmp_path, supervisor, emulator=cloud.__file__)

    environment = local_cloud.environment(
        {
            "AWS_PROFILE": "production",
            "AWS_SESSION_TOKEN": "a-real-session",
            "HTTPS_PROXY": "http://192.0.2.1:3128",
            "EDITOR": "vi",
        }
    )

    assert environment["EDITOR"] == "vi"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert environment["AWS_ACCESS_KEY_ID"] == local_cloud.credentials.access_key_id
    assert environment.keys().isdisjoint({"AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTPS_PROXY"})


@pytest.mark.parametrize(
    ("name", "value", "local"),
    [
        ("DOMAIN_NAME", "www.example.com", ""),
        ("AVAILABILITY_ZONES", "eu-west-1b,eu-west-1c", ""),
        ("EGRESS", "nat-instance", "ipv6"),
        ("EGRESS", "proxy", "proxy"),
        ("EGRESS", "prox", "prox"),  # The configuration refuses it, here as on AWS.
    ],
)
def test_settings_apply_if_the_local_cloud_supports_them(
    tmp_path: Path, supervisor: psutil.Process, name: str, value: str, local: str
) -> None:
    local_cloud = record(tmp_path, supervisor, emulator=cloud.__file__)

    assert local_cloud.environment({name: value})[name] == local


def test_requested_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(CliError, match=f"{port}.*--port"):
            ports.choose(tmp_path / "port", requested=port, preferred=0)


def test_saved_port_is_chosen_again_while_it_is_free(tmp_path: Path) -> None:
    saved = tmp_path / "port"
    saved.write_text(str(ports.choose(saved, requested=0, preferred=0)))

    assert ports.choose(saved, requested=None, preferred=0) == int(saved.read_text())
    with socket.create_server(("127.0.0.1", int(saved.read_text()))):
        assert ports.choose(saved, requested=None, preferred=0) != int(saved.read_text())
