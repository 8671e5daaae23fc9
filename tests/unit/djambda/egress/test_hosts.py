"""The hosts whose requests go through the egress function."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from djambda import egress
from djambda.egress import hosts

ADDRESSES = {
    "both.example.com": ("93.184.216.34", "2606:2800::1"),
    "ipv4.example.com": ("93.184.216.34",),
    "ipv6.example.com": ("2606:2800::1",),
    "private.example.com": ("10.0.3.4",),
    "localhost": ("127.0.0.1", "::1"),
    "xn--bcher-kva.example": ("93.184.216.34",),
    "abc.execute-api.eu-west-1.amazonaws.com": ("93.184.216.34",),
    "shop-1.eu-west-1.elb.amazonaws.com": ("93.184.216.34",),
    "ec2-1-2-3-4.compute-1.amazonaws.com": ("93.184.216.34",),
    "rekognition.eu-west-1.amazonaws.com": ("93.184.216.34",),
    "bucket.s3.eu-west-1.amazonaws.com": ("93.184.216.34",),
    "dev-db.cluster-x.eu-west-1.rds.amazonaws.com": ("10.0.3.4",),
    "lambda.eu-west-1.api.aws": ("93.184.216.34",),
    "93.184.216.34": ("93.184.216.34",),
    "2606:2800::1": ("2606:2800::1",),
}


@pytest.fixture(autouse=True)
def lookups(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names that are looked up, in a DNS of the test."""
    lookups: list[str] = []

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        lookups.append(host)
        if host not in ADDRESSES:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, 1, 6, "", (address, 0))
            for address in ADDRESSES[host]
        ]

    monkeypatch.setattr(hosts, "look_up", look_up)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    hosts.use(None)
    yield lookups
    hosts.use(None)


def goes_through(host: str, *patterns: str) -> bool:
    """Return whether a host's requests go through the function, with a setting or without it."""
    settings = {"EGRESS_PROXY_HOSTS": list(patterns)} if patterns else {}
    hosts.use(None)
    egress.use_hosts(settings)
    return hosts.go_through_function(host, 443)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("ipv4.example.com", True),
        ("IPv4.Example.com.", True),
        ("bücher.example", True),
        ("93.184.216.34", True),
        ("abc.execute-api.eu-west-1.amazonaws.com", True),
        ("shop-1.eu-west-1.elb.amazonaws.com", True),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", True),
        ("both.example.com", False),
        ("ipv6.example.com", False),
        ("[2606:2800::1]", False),
        ("private.example.com", False),
        ("localhost", False),
        ("unknown.example.com", False),
        ("rekognition.eu-west-1.amazonaws.com", False),
        ("bucket.s3.eu-west-1.amazonaws.com", False),
        ("dev-db.cluster-x.eu-west-1.rds.amazonaws.com", False),
        ("lambda.eu-west-1.api.aws", False),
    ],
)
def test_default_is_hosts_without_ipv6(host: str, expected: bool) -> None:
    assert goes_through(host) is expected


@pytest.mark.parametrize(
    ("patterns", "host", "expected"),
    [
        (["both.example.com"], "both.example.com", True),
        (["both.example.com"], "BOTH.example.com", True),
        (["both.example.com"], "ipv4.example.com", False),
        (["*.example.com"], "both.example.com", True),
        (["*.example.com"], "example.com", False),
        (["*.example.com"], "badexample.com", False),
        (["bücher.example"], "xn--bcher-kva.example", True),
        (["*"], "both.example.com", True),
        (["*"], "ipv6.example.com", True),
        (["*"], "private.example.com", False),
        (["*"], "localhost", False),
        (["*"], "lambda.eu-west-1.api.aws", False),
        (["*", "localhost"], "localhost", True),
        (["*.amazonaws.com"], "rekognition.eu-west-1.amazonaws.com", False),
        (["cognito-idp.eu-west-1.amazonaws.com"], "cognito-idp.eu-west-1.amazonaws.com", True),
        (["*.amazonaws.com"], "abc.appsync-api.eu-west-1.amazonaws.com", True),
        (["*.amazonaws.com"], "www.s3-website-us-east-1.amazonaws.com", True),
        (["*.amazonaws.com"], "search-x.us-east-1.es.amazonaws.com", True),
    ],
)
def test_setting_replaces_the_default(patterns: list[str], host: str, expected: bool) -> None:
    assert goes_through(host, *patterns) is expected


def test_empty_list_is_no_host() -> None:
    egress.use_hosts({"EGRESS_PROXY_HOSTS": []})

    assert not hosts.go_through_function("ipv4.example.com", 443)


@pytest.mark.parametrize(
    "value",
    ["api.example.com", None, True, {"a": 1}, [1], [""], ["https://a.example"], ["a.example/x"]]
    + [["a.example:443"], ["a.*.example"], ["*a.example"], [" "]],
)
def test_invalid_setting(value: object) -> None:
    with pytest.raises(ImproperlyConfigured, match="EGRESS_PROXY_HOSTS"):
        egress.use_hosts({"EGRESS_PROXY_HOSTS": value})


def test_hosts_are_looked_up_once_in_a_while(
    lookups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert hosts.go_through_function("ipv4.example.com", 443)
    assert lookups == ["ipv4.example.com"]

    monkeypatch.setattr(hosts, "MEMORY_SECONDS", -1)
    assert hosts.go_through_function("ipv4.example.com", 443)
    assert len(lookups) == 2


def test_listed_hosts_and_aws_are_not_looked_up(lookups: list[str]) -> None:
    assert goes_through("both.example.com", "both.example.com")
    assert not goes_through("sqs.eu-west-1.api.aws")
    assert lookups == []


def test_endpoint_of_the_local_cloud_is_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    hosts.use(["127.0.0.1"])

    assert not hosts.go_through_function("127.0.0.1", 4566)
    assert hosts.go_through_function("127.0.0.1", 4567)
