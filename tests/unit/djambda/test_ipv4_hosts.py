"""Hosts without IPv6 are reported once, when the VPC has no IPv4."""

import asyncio
import json
import logging
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from djambda import ipv4_hosts
from djambda.deadline import RequestTimedOut
from djambda.start_failure import describe
from djambda_common.names import IPV4_LOGGER

type Run = Callable[..., subprocess.CompletedProcess[str]]

ADDRESSES = {
    "ipv4.example.com": ("93.184.216.34",),
    "smtp.example.com": ("93.184.216.35", "93.184.216.36"),
    "both.example.com": ("93.184.216.34", "2606:2800::1"),
    "ipv6.example.com": ("2606:2800::1",),
    "private.example.com": ("10.0.1.2",),
    "bucket.s3.eu-west-1.amazonaws.com": ("52.218.0.1",),
    "s3-eu-west-1.amazonaws.com": ("52.218.0.1",),
    "s3.example.com": ("93.184.216.34",),
    "textract.eu-west-1.amazonaws.com": ("52.218.0.1",),
}


def look_up(host: Any, port: Any, family: int = 0, *_: Any, **__: Any) -> list[Any]:
    """Stand in for `socket.getaddrinfo`."""
    name = host if isinstance(host, str) else host.decode()
    entries = [
        (socket.AF_INET6 if ":" in address else socket.AF_INET, 1, 6, "", (address, port))
        for address in ADDRESSES.get(name, ())
    ]
    found = [entry for entry in entries if family in {0, entry[0]}]
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")
    return found


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Watch the lookups of this process, in a VPC without IPv4."""
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(ipv4_hosts, "look_up", look_up)
    monkeypatch.setattr(ipv4_hosts, "reported", [])
    monkeypatch.setattr(ipv4_hosts, "_known", set())
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    ipv4_hosts.watch_lookups()
    yield
    for name in ("django.request", "djambda.recorded_run"):
        logging.getLogger(name).removeFilter(ipv4_hosts.explain)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == IPV4_LOGGER]


@pytest.mark.parametrize(
    ("host", "family", "is_reported"),
    [
        ("ipv4.example.com", 0, True),
        (b"ipv4.example.com", 0, True),
        (bytearray(b"ipv4.example.com"), 0, True),
        ("smtp.example.com", 0, True),
        ("textract.eu-west-1.amazonaws.com", 0, True),
        ("ipv4.example.com", socket.AF_INET, True),
        ("both.example.com", 0, False),
        ("both.example.com", socket.AF_INET, False),
        ("ipv6.example.com", 0, False),
        ("private.example.com", 0, False),
        ("bucket.s3.eu-west-1.amazonaws.com", 0, False),
        ("s3-eu-west-1.amazonaws.com", 0, False),
        ("s3.example.com", 0, True),
    ],
)
def test_host_is_reported_once(
    host: Any, family: int, is_reported: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert socket.getaddrinfo(host, 443, family) == look_up(host, 443, family)

    name = host if isinstance(host, str) else host.decode()
    assert (
        messages(caplog)
        == [f"Host {name} has no IPv6 address; see EGRESS in docs/how-to/egress.md"] * is_reported
    )
    assert ipv4_hosts.reported == [name] * is_reported
    for record in caplog.records:
        assert (record.levelname, vars(record)["host"]) == ("ERROR", name)


def test_unknown_host_has_its_own_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("unknown.example.com", 443)

    assert messages(caplog) == []


def test_lookup_of_asyncio_is_watched() -> None:
    asyncio.run(_look_up_async("smtp.example.com"))

    assert ipv4_hosts.reported == ["smtp.example.com"]


async def _look_up_async(host: str) -> None:
    await asyncio.get_running_loop().getaddrinfo(host, 25)


def test_local_cloud_warns_about_aws(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    socket.getaddrinfo("ipv4.example.com", 443)

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "on AWS" in messages(caplog)[0]


@pytest.mark.parametrize("value", ["false", ""])
def test_nothing_is_watched_with_a_nat(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", value)

    ipv4_hosts.watch_lookups()

    assert socket.getaddrinfo is look_up


@pytest.mark.parametrize("cause", [TimeoutError("timed out"), RequestTimedOut()])
def test_failure_of_a_connection_is_explained(
    cause: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    socket.getaddrinfo("ipv4.example.com", 443)
    error = LookupError("no rates")
    error.__cause__ = cause

    logging.getLogger("django.request").error("Internal Server Error", exc_info=error)

    assert "ipv4.example.com" in vars(caplog.records[-1])["hint"]
    assert "ipv4.example.com: no IPv6 address" in describe(error)


def test_other_failures_are_not_explained(caplog: pytest.LogCaptureFixture) -> None:
    failure = OSError("disk full")
    logging.getLogger("django.request").error("before", exc_info=failure)
    socket.getaddrinfo("ipv4.example.com", 443)
    logging.getLogger("django.request").error("another", exc_info=KeyError("a"))
    logging.getLogger("django.request").error("without an exception")

    assert not any("hint" in vars(record) for record in caplog.records)
    assert "IPv6" not in describe(KeyError("a"))


LOOK_UP = """
import json, socket
from djambda import awslambda
names = [socket.getaddrinfo.__module__]
print(json.dumps(names))
"""


@pytest.mark.parametrize(("value", "module"), [("true", "djambda.ipv4_hosts"), ("false", "socket")])
def test_deployed_function_watches_lookups(run_deployed: Run, value: str, module: str) -> None:
    done = run_deployed(LOOK_UP, AWS_USE_DUALSTACK_ENDPOINT=value)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [module]


def test_report_survives_the_projects_logging(run_deployed: Run) -> None:
    code = (
        "import shop.settings\n"
        "shop.settings.LOGGING = {'version': 1, 'disable_existing_loggers': True}\n"
        "import logging, sys\n"
        "from djambda import logs\n"
        "logs.LAMBDA_HANDLERS.append(logging.StreamHandler(sys.stdout))\n"
        "from djambda import awslambda, ipv4_hosts\n"
        "ipv4_hosts._report('api.example.com')"
    )

    done = run_deployed(code, AWS_USE_DUALSTACK_ENDPOINT="true")

    assert done.returncode == 0, done.stderr
    assert "Host api.example.com has no IPv6 address" in done.stdout
