"""`djambda doctor`: check everything that a deploy and the site need, without changing anything.

A check that cannot be made, for example because a permission is missing, becomes a warning.
"""

import json
import os
from dataclasses import asdict
from functools import partial
from typing import Any

import typer
from rich.text import Text

from djambda_cli.deployment import VARIABLES_FILE, Deployment, use_deployment
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.operations.checks_account import (
    check_bootstrap,
    check_concurrency,
    check_credentials,
    check_domain,
)
from djambda_cli.operations.checks_first_deploy import (
    check_cluster_quota,
    check_database_role,
    check_plan,
    check_public_access,
    check_vpc_quota,
    check_zones,
)
from djambda_cli.operations.checks_machine import check_configuration, check_machine, check_project
from djambda_cli.operations.checks_stack import NOT_DEPLOYED, check_stack
from djambda_cli.operations.findings import (
    Check,
    Finding,
    Level,
    Report,
    problem,
    run_check,
    warning,
)
from djambda_cli.operations.log_rendering import printable
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.paths import CREATE_VARIABLES
from djambda_cli.terminal import stderr, stdout

SYMBOLS = {
    Level.OK: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.PROBLEM: ("✗", "red"),
}


def doctor(*, local: Local = False, as_json: Json = False, folder: Folder = DEFAULT_FOLDER) -> None:
    """Check this machine, the configuration, the AWS account and the deployed stack.

    Each finding names the action to take. Exits with 1 if there is a problem.

    Example: `djambda doctor --local`
    """
    report: Report = {
        "Machine": list(check_machine(local=local)),
        "Project": list(check_project(local=local)),
    }
    deployment = None
    if local or os.environ.get("APP_NAME") or VARIABLES_FILE.exists():
        try:
            deployment = use_deployment(local=local, folder=folder)
        except CliError as error:
            report["Configuration"] = [configuration_error(error, local=local)]
    else:
        report["Configuration"] = [
            warning(
                "no deployment is configured",
                f"For AWS: {CREATE_VARIABLES}, then edit .variables. For the local cloud: "
                f"{LocalCloud(folder).command('up')}, then djambda doctor --local",
            )
        ]
    if deployment:
        report["Configuration"] = list(check_configuration(deployment))
        with stderr.status("Checking the local cloud" if local else "Checking AWS"):
            report |= check_aws(deployment)
    if as_json:
        stdout.print_json(json.dumps(report_as_json(report)))
    else:
        stdout.print(render_report(report), soft_wrap=True)
    if not is_ok(report):
        raise typer.Exit(1)


def check_aws(deployment: Deployment) -> Report:
    """Return the findings about the account and the stack; only the first without credentials."""
    account = run_check("the credentials", partial(check_credentials, deployment))
    if any(finding.level is Level.PROBLEM for finding in account):
        return {"Account": account}
    stack = run_check("the stack", partial(check_stack, deployment))
    if not deployment.local:
        checks: dict[str, Check] = {
            "the CDK's bootstrap": check_bootstrap,
            "Lambda's concurrency": check_concurrency,
            "the domain": check_domain,
        }
        if stack[0].message == NOT_DEPLOYED:
            checks |= {
                "the number of VPCs": check_vpc_quota,
                "the number of database clusters": check_cluster_quota,
                "the account's plan": check_plan,
                "S3's Block Public Access": check_public_access,
                "the role of RDS": check_database_role,
                "the availability zones": check_zones,
            }
        for subject, check in checks.items():
            account += run_check(subject, partial(check, deployment))
    return {"Account": account, "Stack": stack}


def configuration_error(error: CliError, *, local: bool) -> Finding:
    """Return the finding for a configuration that cannot be used."""
    if local:
        return warning(str(error))
    first, *lines = str(error).splitlines()
    return problem("\n".join([first.rstrip(":"), *lines[:-1]]), lines[-1] if lines else "")


def is_ok(report: Report) -> bool:
    """Return whether the report has no problem."""
    return count(report, Level.PROBLEM) == 0


def count(report: Report, level: Level) -> int:
    """Return the number of findings of a level."""
    return sum(finding.level is level for findings in report.values() for finding in findings)


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
