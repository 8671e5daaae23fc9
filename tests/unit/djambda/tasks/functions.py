"""The calls of tasks."""

from typing import Any

from django.urls import get_script_prefix
from django.utils import timezone, translation

SECRET = "s3cret-argument"
calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []


def state() -> list[str]:
    """Return what a request can change in its thread."""
    return [
        translation.get_language(),
        timezone.get_current_timezone_name(),
        get_script_prefix(),
    ]


def echo(*args: Any, **kwargs: Any) -> Any:
    """Record the call, and return the first argument."""
    calls.append((args, kwargs))
    return args[0] if args else None
