"""HTTP requests to hosts without an IPv6 address, through the egress function.

With `EGRESS=proxy`, `install` gives the HTTP libraries stand-ins for the connections to such hosts.
A library writes its request into one and reads the response from it, so that everything above works
as with a real connection: headers, redirects, cookies, decoding, retries, exceptions. Libraries
that are not imported cost nothing.

`http_client` covers `urllib.request`; `urllib3_connections` covers `requests`; `httpcore_streams`
covers `httpx`.
"""

from collections.abc import MutableMapping
from typing import Any

from djambda.egress import hosts, http_client, tls
from djambda.egress.after_import import after_import

PATTERNS = "EGRESS_PROXY_HOSTS"
"""The setting with the hosts whose requests go through the function."""


def install() -> None:
    """Let the HTTP libraries use the egress function."""
    tls.watch_contexts()
    http_client.install()
    after_import("urllib3.connection", "djambda.egress.urllib3_connections")
    after_import("httpcore", "djambda.egress.httpcore_streams")


def use_hosts(settings: MutableMapping[str, Any]) -> None:
    """Use the project's choice of hosts. Raises `ImproperlyConfigured` if it is invalid."""
    if PATTERNS in settings:
        hosts.use(hosts.read_patterns(PATTERNS, settings[PATTERNS]))
