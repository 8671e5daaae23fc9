"""The report of a command that checks: its findings by section, for people and for scripts."""

import json
from dataclasses import asdict
from typing import Any

from rich.text import Text

from djambda_cli.deployment import Deployment
from djambda_cli.operations.findings import Level, Report
from djambda_cli.operations.log_rendering import printable
from djambda_cli.steps import Steps
from djambda_cli.terminal import stdout

SYMBOLS = {
    Level.OK: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.PROBLEM: ("✗", "red"),
}


def is_ok(report: Report) -> bool:
    """Return whether the report has no problem."""
    return count(report, Level.PROBLEM) == 0


def count(report: Report, level: Level) -> int:
    """Return the number of findings of a level."""
    return sum(finding.level is level for findings in report.values() for finding in findings)


def print_report(report: Report, *, as_json: bool) -> None:
    """Print a report for people, or for scripts."""
    if as_json:
        stdout.print_json(json.dumps(report_as_json(report)))
    else:
        stdout.print(render_report(report), soft_wrap=True)


def report_as_json(report: Report) -> dict[str, Any]:
    """Return the report for scripts."""
    findings = [
        {"section": section, **asdict(finding)}
        for section, section_findings in report.items()
        for finding in section_findings
    ]
    return {"ok": is_ok(report), "findings": findings}


def render_report(report: Report) -> Text:
    """Return the findings by section, and their numbers."""
    page = Text()
    for section, findings in report.items():
        page.append(f"{section}\n", "bold")
        for finding in findings:
            symbol, style = SYMBOLS[finding.level]
            message = finding.message.replace("\n", "\n    ")
            page.append(f"  {symbol} ", style).append(printable(message))
            if finding.action:
                page.append("\n    " + finding.action.replace("\n", "\n    "), "dim")
            page.append("\n")
    problems, warnings = count(report, Level.PROBLEM), count(report, Level.WARNING)
    if not problems and not warnings:
        return page.append("\nNo problems.", "green")
    return page.append(
        f"\n{_number(problems, 'problem')}, {_number(warnings, 'warning')}",
        "red" if problems else "yellow",
    )


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def print_warnings(report: Report, deployment: Deployment, steps: Steps) -> None:
    """Print the first line of each warning below a step."""
    warnings = [
        finding.message.partition("\n")[0]
        for findings in report.values()
        for finding in findings
        if finding.level is Level.WARNING
    ]
    for message in warnings:
        steps.console.print(Text(f"    ! {message}", "yellow"), soft_wrap=True)
    if warnings:
        details = f"    Details: {deployment.command('check')}"
        steps.console.print(Text(details, "dim"), soft_wrap=True)
