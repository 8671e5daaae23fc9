"""Checks of the deployed stack: its status, the live version, the database and recent errors."""

from collections.abc import Iterable, Iterator

from djambda_cli.aws.database import Database
from djambda_cli.aws.log_entries import LogEntry, as_text
from djambda_cli.aws.versions import History
from djambda_cli.deployment import Deployment
from djambda_cli.operations.findings import Finding, ok, problem, warning
from djambda_cli.operations.log_rendering import render_error_count
from djambda_cli.operations.status import (
    ERROR_SINCE,
    SHOW_ERRORS,
    StackStatus,
    Unavailable,
    collect_status,
    load_stack,
)
from djambda_common.names import ALIAS, IPV4_LOGGER

NOT_DEPLOYED = "nothing is deployed"


def check_stack(deployment: Deployment) -> Iterator[Finding]:
    """Check all parts of the deployment's status. Raises `CliError`."""
    stack = load_stack(deployment)
    if not stack:
        yield warning(NOT_DEPLOYED, deployment.command("deploy"))
        return
    yield rate_stack(stack, deploy=deployment.command("deploy"))
    status = collect_status(deployment)
    if not isinstance(status.history, Unavailable):
        live = deployment.client("lambda").get_function_configuration(
            FunctionName=deployment.function, Qualifier=ALIAS
        )
        yield from rate_versions(
            status.history,
            state=live.get("State", "Active"),
            reason=live.get("StateReason", ""),
            deploy=deployment.command("deploy"),
        )
    if status.replaced_settings:
        yield ok("settings that the deployment replaces:\n" + "\n".join(status.replaced_settings))
    if not isinstance(status.database, Unavailable):
        yield rate_database(status.database)
    if status.in_maintenance is True:
        yield warning("the site is closed for maintenance", deployment.command("maintenance off"))
    if not isinstance(status.errors, Unavailable):
        yield rate_errors(len(status.errors), deployment.command(SHOW_ERRORS))
        yield from rate_hosts(status.errors)
    for part in (status.history, status.database, status.in_maintenance, status.errors):
        if isinstance(part, Unavailable):
            yield warning(part.reason)


def rate_stack(stack: StackStatus, *, deploy: str) -> Finding:
    """Return the finding for a stack's status. `deploy` is the command line that deploys."""
    words = stack.status.lower().replace("_", " ")
    if stack.is_busy:
        return warning(f"{stack.name}: {words}", "Wait until the operation has finished.")
    if stack.status == "UPDATE_ROLLBACK_COMPLETE":
        return warning(f"{stack.name}: the last deploy failed and was rolled back", deploy)
    if stack.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}:
        return ok(f"{stack.name}: {words}")
    return problem(
        f"{stack.name}: {words}",
        f"Find the reason: aws cloudformation describe-stack-events --stack-name {stack.name}\n"
        f"Next steps:      {deploy}",
    )


def rate_versions(history: History, *, state: str, reason: str, deploy: str) -> Iterator[Finding]:
    """Yield the findings for the live version in a state of Lambda, and for newer versions."""
    live = history.live
    if state == "Active":
        yield ok(f"version {live.number} is live, commit {live.short_commit}")
    elif state in {"Inactive", "Pending"}:
        yield warning(
            f"version {live.number} is {state.lower()}: {reason}",
            "After weeks without requests, the first one takes minutes. Open the site.",
        )
    else:
        yield problem(f"version {live.number} is {state.lower()}: {reason}", deploy)
    if history.newer:
        yield warning(
            f"version {history.newer[0].number} is newer but not live: the site was rolled back",
            "The next deploy that changes Django makes a new version live.",
        )


def rate_database(database: Database) -> Finding:
    """Return the finding for the state of the database."""
    if database.state in {"awake", "available", "paused", "resuming"}:
        return ok(f"database {database.state}")
    if database.state.endswith("ing"):
        return warning(f"database {database.state}")
    return problem(
        f"database {database.state}",
        f"aws rds describe-events --source-type db-cluster --source-identifier {database.cluster}",
    )


def rate_errors(count: int, logs: str) -> Finding:
    """Return the finding for the errors of the last 24 hours. `logs` shows them."""
    message = f"{render_error_count(count)} in the last {ERROR_SINCE}"
    return warning(message, logs) if count else ok(message)


def rate_hosts(errors: Iterable[LogEntry]) -> Iterator[Finding]:
    """Yield a finding for the hosts that Django could not reach, because they have no IPv6."""
    hosts = sorted({as_text(e.extra.get("host", "")) for e in errors if e.logger == IPV4_LOGGER})
    if hosts:
        yield warning(
            f"hosts without an IPv6 address: {', '.join(hosts)}",
            "Set EGRESS, see docs/how-to/egress.md.",
        )
