"""The logs of a deployment."""

from djambda_cli.aws.log_entries import LogSource
from djambda_cli.aws.log_reader import Log
from djambda_cli.deployment import Deployment


def deployment_logs(deployment: Deployment) -> list[Log]:
    """Return the logs of both functions."""
    client = deployment.client("logs")
    functions = {LogSource.DJANGO: deployment.function, LogSource.PROXY: deployment.proxy}
    return [
        Log(
            client,
            source,
            f"/aws/lambda/{function}",
            f"The log group /aws/lambda/{function} does not exist {deployment.location}. The first "
            f"deploy creates it: {deployment.command('deploy')}",
        )
        for source, function in functions.items()
    ]
