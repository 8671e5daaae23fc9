"""The versions of a deployment."""

from typing import TYPE_CHECKING

from djambda_cli.aws.versions import History, load_history
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def require_history(deployment: Deployment, client: "LambdaClient") -> History:
    """Return the published versions. Raises `CliError` if there are none yet."""
    history = load_history(client, deployment.function)
    if history is None:
        raise CliError(
            f"{deployment.function} has no live version {deployment.location}. The first deploy "
            f"creates one: {deployment.command('deploy')}"
        )
    return history
