"""The adapters are installed with `EGRESS=proxy` only, and without importing any library."""

import http.client
import json
import subprocess
import time
from collections.abc import Callable

import pytest

from djambda import deadline
from djambda.egress import function
from djambda_common.aws_api import OutcomeUnknown
from tests.support.http_servers import Server
from tests.unit.djambda.egress.conftest import Egress
from tests.unit.djambda.egress.test_urllib import urlopen

type Run = Callable[..., subprocess.CompletedProcess[str]]

REPORT = """
import json, sys, http.client
from djambda import awslambda

def adapted():
    import urllib3.connection, httpcore
    connects = (
        http.client.HTTPConnection.connect,
        http.client.HTTPSConnection.connect,
        urllib3.connection.HTTPConnection.connect,
        urllib3.connection.HTTPSConnection.connect,
        httpcore.SyncBackend.connect_tcp,
        httpcore.AnyIOBackend.connect_tcp,
    )
    return [connect.__module__.startswith("djambda.egress") for connect in connects]

imported = sorted({name.partition(".")[0] for name in sys.modules} & {"urllib3", "httpcore"})
own = sorted(name for name in sys.modules if name.startswith("djambda.egress"))
print(json.dumps([imported, own, adapted(), http.client.HTTPConnection.connect.__module__]))
"""


def test_nothing_is_installed_without_the_function(run_deployed: Run) -> None:
    done = run_deployed(REPORT)

    assert done.returncode == 0, done.stderr
    imported, own, adapted, module = json.loads(done.stdout.splitlines()[-1])
    assert (imported, own, any(adapted), module) == ([], [], False, "http.client")


def test_libraries_are_adapted_when_they_are_imported(run_deployed: Run) -> None:
    done = run_deployed(REPORT, EGRESS_FUNCTION="dev-mysite-egress")

    assert done.returncode == 0, done.stderr
    imported, own, adapted, _ = json.loads(done.stdout.splitlines()[-1])
    assert imported == []
    assert "djambda.egress.httpcore_streams" not in own
    assert all(adapted)


def test_invalid_setting_of_the_project_fails_the_start(run_deployed: Run) -> None:
    code = (
        "import shop.settings; shop.settings.EGRESS_PROXY_HOSTS = 'api.example.com'\n"
        "from djambda import awslambda"
    )

    done = run_deployed(code, EGRESS_FUNCTION="dev-mysite-egress")

    assert done.returncode != 0
    assert "EGRESS_PROXY_HOSTS is not a list" in done.stderr


def test_request_ends_before_its_visitor_is_told(
    server: Server, invocations: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = deadline.Deadline(connect_seconds=1, seconds=0.8)
    monkeypatch.setattr(deadline, "current", limit)

    with pytest.raises(TimeoutError):
        urlopen(f"{server.url}/hang")
    assert time.monotonic() < limit.ends  # type: ignore[operator]
    assert invocations.events[0]["seconds"] < 0.8


def test_function_that_does_not_start_is_an_error_of_the_library(
    invocations: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the request would be stopped, and its code could not handle the failure."""
    limit = deadline.Deadline(connect_seconds=1, seconds=3)
    monkeypatch.setattr(deadline, "current", limit)
    invocations.error = OutcomeUnknown("silent")

    with pytest.raises(ConnectionResetError):
        urlopen("http://127.0.0.1/")

    assert invocations.timeouts[0] < 3


def test_request_that_has_been_stopped_has_no_time(
    server: Server, invocations: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler of log records may report it to a service."""
    stopped = deadline.Deadline(connect_seconds=1)
    stopped.is_late = True
    monkeypatch.setattr(deadline, "current", stopped)

    with urlopen(f"{server.url}/status/200"):
        pass

    assert invocations.timeouts[0] < deadline.RESPONSE_SECONDS


def test_command_waits_longer(server: Server, invocations: Egress) -> None:
    with urlopen(f"{server.url}/status/200"):
        pass

    assert invocations.events[0]["seconds"] == function.LONGEST_SECONDS
    assert invocations.timeouts[0] > function.LONGEST_SECONDS


def test_connection_through_a_proxy_of_the_project_is_direct(invocations: Egress) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", 1, timeout=1)
    connection.set_tunnel("api.example.com")

    with pytest.raises(ConnectionRefusedError):
        connection.request("GET", "/")
    assert invocations.events == []
