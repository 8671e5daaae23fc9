"""Record the project's settings that a deployment replaces, so that the deploy can list them.

The project's value of a setting wins, unless it cannot work on Lambda. `docs/decisions.md` has the
rule and a table of the settings.
"""

from collections.abc import MutableMapping
from typing import Any

REPLACED = "DJAMBDA_REPLACED_SETTINGS"
"""The setting with the record: the name of each replaced setting, and the reason."""

type Settings = MutableMapping[str, Any]


def replace(settings: Settings, name: str, value: object, reason: str) -> None:
    """Set a setting, and record the reason if the project has another value."""
    if name in settings and settings[name] != value:
        record(settings, name, reason)
    settings[name] = value


def remove(settings: Settings, name: str, reason: str) -> None:
    """Remove a setting, and record the reason if the project has set it."""
    if settings.pop(name, None):
        record(settings, name, reason)


def record(settings: Settings, name: str, reason: str) -> None:
    """Record that the project's value of (a part of) a setting is not used.

    Neither argument may contain a value of the project, which can be secret.
    """
    settings.setdefault(REPLACED, {})[name] = reason
