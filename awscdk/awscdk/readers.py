"""Readers: each turns a variable's text into its value, or says in a ValueError what to use."""

import re
from collections.abc import Callable


def matching(pattern: str, meaning: str) -> Callable[[str], str]:
    """A reader of text that has the whole of `pattern`, described to people by `meaning`."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"use {meaning}")
        return text

    return read


def number(low: float, high: float, *, step: float = 1, unit: str) -> Callable[[str], float]:
    """A reader of a number from `low` to `high` in steps; an int where the step is whole."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"use a number of {unit}") from None
        if not low <= value <= high or value % step:
            steps = "" if step == 1 else f" in steps of {step}"
            raise ValueError(f"use {low:g} to {high:g} {unit}{steps}")
        return int(value) if step == int(step) else value

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """A reader of one of a few words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"use {', '.join(choices[:-1])} or {choices[-1]}")
        return text

    return read


def flag(text: str) -> bool:
    """Read `true` or `false`."""
    return one_of("true", "false")(text) == "true"


def optional[T](read: Callable[[str], T]) -> Callable[[str], T | None]:
    """A reader that takes no text for no value."""
    return lambda text: read(text) if text else None
