"""`djambda doctor`: check everything that a deploy and the site need, without changing anything.

A check that cannot be made, for example because a permission is missing, becomes a warning.
"""

import os
from functools import partial

import typer

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
from djambda_cli.operations.checks_mail import check_mail
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
from djambda_cli.operations.report import is_ok, print_report
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.paths import CREATE_VARIABLES
from djambda_cli.terminal import stderr


def doctor(*, local: Local = False, as_json: Json = False, folder: Folder = DEFAULT_FOLDER) -> None:
    """Check this machine, the configuration, the AWS account and the deployed stack.

    Each finding shows how to fix it. Exits with 1 if there is a problem.

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
        cloud = LocalCloud(folder)
        report["Configuration"] = [
            warning(
                "no deployment is configured",
                f"For AWS: {CREATE_VARIABLES}, then edit .variables. For the local cloud: "
                f"{cloud.command('up')}, then djambda doctor{cloud.options}",
            )
        ]
    if deployment:
        report["Configuration"] = list(check_configuration(deployment))
        with stderr.status("Checking the local cloud" if local else "Checking AWS"):
            report |= check_aws(deployment)
    print_report(report, as_json=as_json)
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
            "mail": check_mail,
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
