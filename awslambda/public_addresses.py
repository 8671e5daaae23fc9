"""The addresses that the egress function may connect to: public ones only.

Django's requests may contain URLs that visitors have entered. Through this function, they must not
lead to Lambda's own services, an instance's metadata, or a private network.
"""

import ipaddress
import os
import re
import socket

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All public IPv6 addresses, and none in which an IPv4 address is mapped or translated, apart from
6to4 and Teredo: https://www.iana.org/assignments/ipv6-address-space"""

NUMBER = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)\.?", re.IGNORECASE)
"""A host whose last label is a number is an IPv4 address in one of many spellings:
https://url.spec.whatwg.org/#ends-in-a-number-checker"""

LOOPBACK_VARIABLE = "EGRESS_ALLOWS_LOOPBACK"
"""The variable with which the local cloud allows this machine's own addresses."""
SERVICE_VARIABLE = "AWS_LAMBDA_RUNTIME_API"
"""Lambda sets it in every function, and no function's configuration can change it:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime"""


def is_misspelled(host: str) -> bool:
    """Return whether a host is an IPv4 address that is not written as four decimal numbers."""
    if not NUMBER.fullmatch(host):
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False


def resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """Return the addresses of a host, IPv4 first, because Lambda has no IPv6 outside a VPC.

    Raises `socket.gaierror`.
    """
    # Bytes, because a str would be encoded with `encodings.idna`, whose import takes a while.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    addresses = [(family, str(address[0])) for family, _, _, _, address in found]
    return sorted(addresses, key=lambda each: each[0] != socket.AF_INET)


def is_allowed(text: str) -> bool:
    """Return whether the function may connect to an address, as `resolve` returns it."""
    address = ipaddress.ip_address(text)
    return is_public(address) or (address.is_loopback and loopback_is_allowed())


def is_public(address: Address) -> bool:
    """Return whether the whole internet can reach an address."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address in GLOBAL_UNICAST and not (address.sixtofour or address.teredo)


def loopback_is_allowed() -> bool:
    """Return whether this is the local cloud, or a test.

    A template can set the first variable, but not unset the second one.
    """
    return os.environ.get(LOOPBACK_VARIABLE) == "true" and SERVICE_VARIABLE not in os.environ
