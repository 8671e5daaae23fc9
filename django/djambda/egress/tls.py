"""The TLS settings of a request that goes through the egress function.

The function verifies certificates as Python does by default. A context that trusts other
authorities, or has a client certificate, cannot be passed on, and must not be ignored either.
"""

import os
import ssl
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

PUBLIC, OWN, CLIENT = "public", "own", "client"

MARK = "-----BEGIN CERTIFICATE-----"
MANY = 50
"""The least number of authorities in a copy of the well-known ones, of which there are over 100."""

_loaded: WeakKeyDictionary[ssl.SSLContext, set[str]] = WeakKeyDictionary()
"""The certificates that each context has loaded."""


def watch_contexts() -> None:
    """Record the certificates that contexts load, which they do not tell."""
    for name, kind in (
        ("load_cert_chain", lambda *_, **__: CLIENT),
        ("load_verify_locations", _kind_of_authorities),
        ("set_default_verify_paths", _kind_of_default),
    ):
        setattr(ssl.SSLContext, name, _recording(getattr(ssl.SSLContext, name), kind))


def verifies(context: ssl.SSLContext | None) -> bool:
    """Return whether a context verifies certificates. Raises `ssl.SSLError` if it is special."""
    if context is None:
        return True
    if context.verify_mode == ssl.CERT_NONE:
        _require_no_certificate(context)
        return False
    require_public(context)
    return True


def require_public(context: ssl.SSLContext, *, more: bool = False) -> None:
    """Raise `ssl.SSLError` unless a context trusts the public authorities alone.

    With `more`, these will be loaded when it connects.
    """
    _require_no_certificate(context)
    if _loaded.get(context, set()) | ({PUBLIC} if more else set()) != {PUBLIC}:
        raise unsupported("certificate authorities of your own")


def _require_no_certificate(context: ssl.SSLContext) -> None:
    if CLIENT in _loaded.get(context, set()):
        raise unsupported("a client certificate")


@cache
def is_public_bundle(path: str) -> bool:
    """Return whether a file or folder has the well-known authorities.

    Many packages have a copy of them, such as certifi and Stripe's.
    """
    try:
        if os.path.isdir(path):  # noqa: PTH112 (without importing pathlib)
            return len(os.listdir(path)) >= MANY  # noqa: PTH208
        with open(path, "rb") as file:  # noqa: PTH123
            return _is_public(file.read())
    except OSError:
        return False


def unsupported(what: str) -> ssl.SSLError:
    """Return the error for TLS settings that the function cannot have."""
    return ssl.SSLError(1, f"EGRESS=proxy does not support {what}. Use a NAT: EGRESS=nat-instance.")


def _kind_of_authorities(cafile: Any = None, capath: Any = None, cadata: Any = None) -> str:
    places = [is_public_bundle(os.fsdecode(path)) for path in (cafile, capath) if path]
    return PUBLIC if all([*places, *([_is_public(cadata)] if cadata else [])]) else OWN


def _kind_of_default() -> str:
    """Return what the paths of OpenSSL have, which two variables can change."""
    names = ssl.get_default_verify_paths()
    paths = map(os.environ.get, (names.openssl_cafile_env, names.openssl_capath_env))
    return PUBLIC if all(is_public_bundle(path) for path in paths if path) else OWN


def _is_public(content: str | bytes) -> bool:
    mark = MARK if isinstance(content, str) else MARK.encode()
    return content.count(mark) >= MANY  # type: ignore[arg-type]  # Both are the same type.


def _recording(method: Callable[..., Any], kind: Callable[..., str]) -> Callable[..., Any]:
    def load(self: ssl.SSLContext, *arguments: Any, **keywords: Any) -> Any:
        result = method(self, *arguments, **keywords)
        _loaded.setdefault(self, set()).add(kind(*arguments, **keywords))
        return result

    return load
