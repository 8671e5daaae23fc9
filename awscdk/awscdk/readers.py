"""Readers convert a variable's text to its value; their ValueErrors name the valid values."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formataddr


def matching(pattern: str, description: str) -> Callable[[str], str]:
    """Return a reader of text that matches all of `pattern`, which `description` explains."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"use {description}")
        return text

    return read


def number(low: float, high: float, *, step: float = 1, unit: str) -> Callable[[str], float]:
    """Return a reader of numbers from `low` to `high`, which are ints if the step is whole."""

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
    """Return a reader of one of the choices."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"use {', '.join(choices[:-1])} or {choices[-1]}")
        return text

    return read


ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
"""A serialized origin (RFC 6454, section 6.2), with a host in its ASCII form."""

DEFAULT_PORTS = {"http": ":80", "https": ":443"}
LONGEST_LIST = 2048
"""Characters. A function's environment variables have 4 KB in all."""


def origins(text: str) -> tuple[str, ...]:
    """Return origins that browsers send, or `("*",)` for all; none for empty text."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(","))) if text else ()
    if names == ("*",):
        return names
    for name in names:
        port = DEFAULT_PORTS.get(name.partition(":")[0])
        if not ORIGIN.fullmatch(name) or (port and name.endswith(port)):
            raise ValueError(
                "use origins as browsers send them, separated by commas, e.g. "
                "https://app.example.com,http://localhost:5173: in lowercase, without a path, a "
                f"trailing slash, a default port or a wildcard; or * for all ({name!r} is neither)"
            )
    if len(text) > LONGEST_LIST:
        raise ValueError(f"use at most {LONGEST_LIST} characters")
    return names


PATH_PATTERN = re.compile(r"(/|\*)[^*,\s]{2,}\*?")
"""Printable, and without an asterisk in the middle."""
LONGEST_PATTERNS = 1024


def patterns(text: str) -> tuple[str, ...]:
    """Return patterns of paths; none for `none`."""
    names = () if text == "none" else tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if not PATH_PATTERN.fullmatch(name):
            raise ValueError(
                "use paths, separated by commas, that begin with / or *, may end with *, and have "
                f"at least two other characters, e.g. *.php,/wp-*; or none ({name!r} is neither)"
            )
    if len(text) > LONGEST_PATTERNS:
        raise ValueError(f"use at most {LONGEST_PATTERNS} characters")
    return names


MAILBOX = re.compile(r'"?(?P<name>[^"<>\\]*?)"?\s*<(?P<address>[^<>]*)>')
ADDRESS = re.compile(
    r"[A-Za-z0-9._%+-]{1,64}@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
)
LONGEST_ADDRESS, LONGEST_NAME = 254, 100


@dataclass(frozen=True)
class Mailbox:
    """An email address in ASCII, with a name or "" (RFC 5322, section 3.4)."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        """The domain of the address."""
        return self.address.rpartition("@")[2]

    @property
    def header(self) -> str:
        """The mailbox in the form and the ASCII characters of a header."""
        return formataddr((self.name, self.address))


def mailbox(text: str) -> Mailbox:
    """Return an address, possibly with a name before it."""
    match = MAILBOX.fullmatch(text)
    name, address = match.group("name", "address") if match else ("", text)
    local, at, domain = address.rpartition("@")
    address = local + at + domain.lower()
    is_valid = (
        ADDRESS.fullmatch(address)
        and len(address) <= LONGEST_ADDRESS
        and len(name) <= LONGEST_NAME
        and name.isprintable()
    )
    if not is_valid:
        raise ValueError(
            "use an email address in ASCII characters, with a name before it or without one, e.g. "
            "site@example.com or My site <site@example.com>"
        )
    return Mailbox(address, name)


ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}[a-z]")


def zones(count: int) -> Callable[[str], tuple[str, ...]]:
    """Return a reader of the names of `count` availability zones; none for empty text."""

    def read(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",")) if text else ()
        if names and not (len(names) == len({*names}) == count and all(map(ZONE.fullmatch, names))):
            raise ValueError(f"use {count} different zones, e.g. us-east-1a,us-east-1b")
        return names

    return read


def flag(text: str) -> bool:
    """Convert `true` or `false` to a bool."""
    return one_of("true", "false")(text) == "true"


def optional[T](read: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return a reader that converts empty text to None."""
    return lambda text: read(text) if text else None
