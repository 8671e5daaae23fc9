"""The packages that the runtime needs in a project's layer, and those that Lambda cannot load.

A lock is text in the format of requirements files, one package per line. A project that knows
nothing of djambda lacks the runtime's packages, and its database driver is often one that links to
the system's libpq, which Lambda does not have: the same version with its own libpq replaces it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from awscdk.python_version import applies

ALWAYS = ("django-storages>=1.14.4", "pybase64>=1.4")
DRIVER = "psycopg2-binary>=2.9.10"
SUBSTITUTES = {"psycopg2": "psycopg2-binary", "psycopg-c": "psycopg-binary"}
"""Packages that a compiler builds against libpq, and the same code with its own libpq."""
SERVERS = {"mod-wsgi", "uwsgi"}
"""Web servers that only a compiler can install, and that Lambda takes the place of."""
PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?\s*==\s*([^\s;]+)")


@dataclass(frozen=True)
class Completion:
    """The changes of a lock: the packages `removed` from it, and the requirements `added` to it.

    `conflicts` are packages that are too old, as in "django-storages 1.12, but djambda needs ...".
    """

    removed: frozenset[str]
    added: tuple[str, ...]
    conflicts: tuple[str, ...]


def complete(lock: str) -> Completion:
    """Return what has to change so that the locked packages run on Lambda."""
    versions = dict(pinned(lock))
    removed, added = SERVERS & versions.keys(), []
    for source, binary in SUBSTITUTES.items():
        if source in versions:
            removed.add(source)
            if binary not in versions:
                added.append(f"{binary}=={versions[source]}")
    if "psycopg" in versions and not {"psycopg-binary", "psycopg-c"} & versions.keys():
        added.append(f"psycopg-binary=={versions['psycopg']}")
    if not {"psycopg", "psycopg2", "psycopg2-binary"} & versions.keys():
        added.append(DRIVER)
    conflicts = []
    for line in ALWAYS:
        requirement = Requirement(line)
        version = versions.get(requirement.name)
        if version is None:
            added.append(line)
        elif not requirement.specifier.contains(version, prereleases=True):
            conflicts.append(f"{requirement.name} {version}, but djambda needs {line}")
    return Completion(frozenset(removed), tuple(added), tuple(conflicts))


def pinned(lock: str) -> Iterator[tuple[str, str]]:
    """Yield the normalized names and the versions of a lock's packages."""
    for line in logical_lines(lock):
        if match := PINNED.match(line):
            yield canonicalize_name(match[1]), match[2]


def for_lambda(lock: str, python: str) -> str:
    """Return the lock without the packages for other systems and other versions of Python."""
    lines = logical_lines(lock)
    return "".join(f"{line}\n" for line in lines if applies(_marker(line), python))


def _marker(line: str) -> Marker | None:
    requirement = line.partition(" --hash=")[0]
    try:
        return Requirement(requirement).marker
    except InvalidRequirement:  # A folder or an option.
        marker = requirement.partition(" ;")[2]
    try:
        return Marker(marker) if marker else None
    except InvalidMarker:
        return None


def without(lock: str, names: frozenset[str]) -> str:
    """Return the lock without the packages of these normalized names."""
    return "".join(f"{line}\n" for line in logical_lines(lock) if _name(line) not in names)


def logical_lines(lock: str) -> list[str]:
    """Return the lines without comments and continuations."""
    joined = lock.replace("\\\n", " ")
    lines = (" ".join(re.sub(r"(^|\s)#.*", "", line).split()) for line in joined.splitlines())
    return [line for line in lines if line]


def _name(line: str) -> str:
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
    return canonicalize_name(match[0]) if match else ""
