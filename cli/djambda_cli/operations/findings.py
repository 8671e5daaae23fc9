"""Findings of the checks of `djambda doctor`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError


class Level(StrEnum):
    """The severity of a finding. A deploy, or the site, does not work with a problem."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """The result of a check, and the action to take, if any."""

    level: Level
    message: str
    action: str = ""


type Check = Callable[[Deployment], Iterator[Finding]]

type Report = dict[str, list[Finding]]
"""The findings by section."""


def ok(message: str) -> Finding:
    """Return a finding without an action."""
    return Finding(Level.OK, message)


def warning(message: str, action: str = "") -> Finding:
    """Return a finding that does not prevent a deploy."""
    return Finding(Level.WARNING, message, action)


def problem(message: str, action: str = "") -> Finding:
    """Return a finding that prevents a deploy or breaks the site."""
    return Finding(Level.PROBLEM, message, action)


def run_check(subject: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return the check's findings, and a warning if it could not be completed."""
    findings: list[Finding] = []
    try:
        with aws_errors():
            findings.extend(check())
    except CliError as error:
        reason = error.output.strip().rpartition("\n")[2]
        findings.append(warning(f"could not check {subject}: {reason or error}"))
    return findings
