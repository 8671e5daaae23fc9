"""The logs of a deployment."""

from collections.abc import Callable

from djambda_cli.aws import stacks
from djambda_cli.aws.log_entries import LogSource
from djambda_cli.aws.log_reader import Log
from djambda_cli.deployment import Deployment
from djambda_common.names import EGRESS_SUFFIX, FAILED_TASKS_SUFFIX

OPTIONAL = {LogSource.EGRESS: EGRESS_SUFFIX, LogSource.FAILED_TASKS: FAILED_TASKS_SUFFIX}
"""The functions that only some deployments have."""


def deployment_logs(deployment: Deployment) -> list[Log]:
    """Return the logs of the deployment's functions. Raises `CliError`."""
    return logs_loader(deployment)()


def logs_loader(deployment: Deployment) -> Callable[[], list[Log]]:
    """Return a function that does the same in a thread, in which clients cannot be created."""
    client, cloudformation = deployment.client("logs"), deployment.client("cloudformation")
    always = {LogSource.DJANGO: deployment.function, LogSource.PROXY: deployment.proxy}
    optional = {source: deployment.stack + suffix for source, suffix in OPTIONAL.items()}

    def load() -> list[Log]:
        groups = stacks.log_groups(cloudformation, deployment.stack)
        return [
            Log(client, source, group, _missing(deployment, group))
            for source, function in (always | optional).items()
            if (group := f"/aws/lambda/{function}") in groups or source in always
        ]

    return load


def _missing(deployment: Deployment, group: str) -> str:
    return (
        f"The log group {group} does not exist {deployment.location}. The first deploy creates it: "
        f"{deployment.command('deploy')}"
    )
