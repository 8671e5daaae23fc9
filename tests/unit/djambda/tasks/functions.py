"""The calls of tasks."""

from typing import Any

SECRET = "s3cret-argument"
calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []


def echo(*args: Any, **kwargs: Any) -> Any:
    """Record the call, and return the first argument."""
    calls.append((args, kwargs))
    return args[0] if args else None
