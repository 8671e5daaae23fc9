"""The TLS settings of a request that goes through the egress function.

The function verifies certificates as Python does by default. A context that trusts other
authorities, or has a client certificate, cannot be passed on, and must not be ignored either.
"""

import os
import ssl
import sys
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

DEFAULT, OWN, CLIENT = "default", "own", "client"

_loaded: WeakKeyDictionary[ssl.SSLContext, set[str]] = WeakKeyDictionary()
"""The certificates that each context has loaded."""


def watch_contexts() -> None:
    """Record the certificates that contexts load, which they do not tell."""
    for name, kind in (
        ("load_cert_chain", lambda *_, **__: CLIENT),
        ("load_verify_locations", _kind_of_authorities),
        ("set_default_verify_paths", lambda *_, **__: DEFAULT),
    ):
        setattr(ssl.SSLContext, name, _recording(getattr(ssl.SSLContext, name), kind))


def verifies(context: ssl.SSLContext | None) -> bool:
    """Return whether a context verifies certificates. Raises `ssl.SSLError` if it is special."""
    if context is None:
        return True
    loaded = _loaded.get(context, set())
    if CLIENT in loaded:
        raise unsupported("a client certificate")
    if context.verify_mode == ssl.CERT_NONE:
        return False
    if loaded != {DEFAULT}:
        raise unsupported("certificate authorities of your own")
    return True


def is_default_bundle(path: str | None) -> bool:
    """Return whether a file has the well-known authorities: those of the system, or of certifi."""
    if not path:
        return True
    paths = ssl.get_default_verify_paths()
    bundles = [paths.cafile, paths.openssl_cafile]
    if certifi := sys.modules.get("certifi"):
        bundles.append(certifi.where())
    return os.path.realpath(path) in {os.path.realpath(each) for each in bundles if each}


def unsupported(what: str) -> ssl.SSLError:
    """Return the error for TLS settings that the function cannot have."""
    return ssl.SSLError(1, f"EGRESS=proxy does not support {what}. Use a NAT: EGRESS=nat-instance.")


def _kind_of_authorities(cafile: Any = None, capath: Any = None, cadata: Any = None) -> str:
    is_default = cafile and not capath and not cadata and is_default_bundle(os.fspath(cafile))
    return DEFAULT if is_default else OWN


def _recording(method: Callable[..., Any], kind: Callable[..., str]) -> Callable[..., Any]:
    def load(self: ssl.SSLContext, *arguments: Any, **keywords: Any) -> Any:
        result = method(self, *arguments, **keywords)
        _loaded.setdefault(self, set()).add(kind(*arguments, **keywords))
        return result

    return load
