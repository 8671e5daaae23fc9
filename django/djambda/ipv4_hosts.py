"""Say in the log that a host has no IPv6 address, which explains why connections to it fail.

Django's VPC has no IPv4 to the internet, unless the deployment has a NAT. There, a connection to an
IPv4 address is silent until its timeout. So this reports the host when it is looked up: once in
each process, whatever library asks, and at no cost for hosts with IPv6.
"""

import logging
import os
import socket
from typing import Any

from djambda_common.names import IPV4_LOGGER

log = logging.getLogger(IPV4_LOGGER)

look_up = socket.getaddrinfo
"""The function without reports."""

reported: list[str] = []
"""The hosts that the log has."""

_known: set[str] = set()


def watch_lookups() -> None:
    """Report hosts without IPv6 from now on, unless the VPC has IPv4."""
    if os.environ.get("AWS_USE_DUALSTACK_ENDPOINT") != "true":
        return
    socket.getaddrinfo = _look_up_and_report
    for name in ("django.request", "djambda.recorded_run"):
        logging.getLogger(name).addFilter(explain)


def explain(record: logging.LogRecord) -> bool:
    """Add the reported hosts to the record of a failure that has to do with a connection."""
    error = record.exc_info[1] if record.exc_info else None
    if error and (text := hint(error)):
        record.hint = text
    return True


def hint(error: BaseException) -> str:
    """Return an explanation of an exception, or "" if it has nothing to do with a connection."""
    from djambda.deadline import RequestTimedOut  # noqa: PLC0415 (only after a failure)
    from djambda.start_failure import causes  # noqa: PLC0415

    if not reported or not any(
        isinstance(each, OSError | RequestTimedOut) for each in causes(error)
    ):
        return ""
    return f"{' and '.join(reported[-3:])}: no IPv6 address; see EGRESS"


def _look_up_and_report(host: Any, port: Any, family: int = 0, *options: Any, **named: Any) -> Any:
    found = look_up(host, port, family, *options, **named)
    if host and all(each[0] == socket.AF_INET for each in found):
        name = host if isinstance(host, str) else host.decode()
        if name in _known:
            return found
        _known.add(name)
        if _is_out_of_reach(name, [str(each[4][0]) for each in found], family):
            _report(name)
    return found


def _is_out_of_reach(name: str, addresses: list[str], family: int) -> bool:
    """Return whether a host with these IPv4 addresses is on the internet and has no others."""
    import ipaddress  # noqa: PLC0415 (rarely needed)

    if _is_s3(name.lower()):
        return False
    if not any(ipaddress.ip_address(address).is_global for address in addresses):
        return False
    if family == socket.AF_INET:  # The library has not asked for others.
        try:
            return not look_up(name, None, socket.AF_INET6)
        except OSError:
            return True
    return True


def _is_s3(name: str) -> bool:
    """Return whether a host belongs to S3, which has an endpoint in the VPC."""
    is_aws = name.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return is_aws and any(f"{label}-".startswith("s3-") for label in name.split("."))


def _report(name: str) -> None:
    reported.append(name)
    is_local = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    log.log(
        logging.WARNING if is_local else logging.ERROR,
        "Host %s has no IPv6 address%s; see EGRESS in docs/how-to/egress.md",
        name,
        ", so that Django cannot reach it on AWS" if is_local else "",
        extra={"host": name},
    )
