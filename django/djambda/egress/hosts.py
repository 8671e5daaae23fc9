"""The hosts whose requests go through the egress function.

By default, those that have public IPv4 addresses and no IPv6 address. A project can list them
instead. AWS's own services belong to them only by their whole names, because Django reaches those
inside AWS's network.
"""

import ipaddress
import os
import re
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from djambda.ipv4_hosts import look_up

EVERY = "*"

PATTERN = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:]*:[0-9a-f:.]*")

AWS = re.compile(r"(.*\.)?(amazonaws\.com(\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)")
OF_CUSTOMERS = re.compile(
    r".*\.(execute-api|appsync-api|elb|compute|compute-1|es|aoss|s3-website[^.]*)\..*"
)
"""Hosts of AWS's customers below those domains: APIs, load balancers, machines and others."""

MEMORY_SECONDS = 300
"""The time for which the addresses of a host are remembered."""

_patterns: tuple[str, ...] | None = None
_known: dict[str, tuple[float, bool]] = {}


def use(patterns: Iterable[str] | None) -> None:
    """Use these patterns; None is the default."""
    global _patterns  # noqa: PLW0603 (one configuration in a process)
    _patterns = None if patterns is None else tuple(patterns)
    _known.clear()


def read_patterns(setting: str, value: object) -> list[str]:
    """Return the value of the setting. Raises `ImproperlyConfigured`."""
    if not isinstance(value, list | tuple | set | frozenset):
        raise ImproperlyConfigured(
            f'{setting} is not a list. Use a list of hosts, such as ["api.example.com", '
            f'"*.example.org"], or ["{EVERY}"] for all.'
        )
    patterns = [_ascii(pattern) if isinstance(pattern, str) else "" for pattern in value]
    if not all(map(PATTERN.fullmatch, patterns)):
        raise ImproperlyConfigured(
            f'{setting} has an item that is not a host. Use names without "https://", ports and '
            f'paths, such as "api.example.com", or "*.example.com" for all names below a domain.'
        )
    return patterns


def go_through_function(host: str, port: int) -> bool:
    """Return whether a request to this host goes through the function. This can look it up."""
    name = _ascii(host)
    if _is_local_cloud(name, port):
        return False
    if _patterns and name in _patterns:
        return True
    if AWS.fullmatch(name) and not OF_CUSTOMERS.fullmatch(name):
        return False
    if _patterns is None or EVERY in _patterns:
        if _patterns and any(_matches(name, each) for each in _patterns if each != EVERY):
            return True
        return _has_the_addresses(name, all_families=_patterns is not None)
    return any(_matches(name, pattern) for pattern in _patterns)


def is_public(address: str) -> bool:
    """Return whether the internet can reach an address; false for those of the VPC."""
    return ipaddress.ip_address(address.partition("%")[0]).is_global


def _ascii(host: str) -> str:
    name = host.lower().strip("[]").rstrip(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


def _is_local_cloud(name: str, port: int) -> bool:
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    return (name, port) == (endpoint.hostname, endpoint.port)


def _matches(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def _has_the_addresses(name: str, *, all_families: bool) -> bool:
    """Return whether a host has public IPv4 addresses only, or else public addresses.

    A name that does not exist has none, so that the library reports it.
    """
    known_at, known = _known.get(name, (0.0, False))
    if 0 <= time.time() - known_at < MEMORY_SECONDS:
        return known
    try:
        found = look_up(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    has_ipv6 = any(family == socket.AF_INET6 for family, *_ in found)
    has_public = any(is_public(str(address[0])) for *_, address in found)
    result = has_public and (all_families or not has_ipv6)
    _known[name] = time.time(), result
    return result
