"""The variable of the proxy Lambda that closes the site for maintenance.

CloudFormation does not know it: a deploy keeps it, unless it replaces the proxy's environment.
`awslambda/maintenance.py` reads it.
"""

from typing import TYPE_CHECKING

from djambda_cli.aws.errors import aws_errors
from djambda_common.names import MAINTENANCE_VARIABLE

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def load_digest(client: "LambdaClient", proxy: str) -> str:
    """Return the SHA-256 of the maintenance bypass secret, or "" while the site is open."""
    return _load_environment(client, proxy).get(MAINTENANCE_VARIABLE, "")


def set_digest(client: "LambdaClient", proxy: str, digest: str) -> None:
    """Close the site with a secret's SHA-256, or open it with "". Waits until it takes effect."""
    environment = _load_environment(client, proxy)
    environment.pop(MAINTENANCE_VARIABLE, None)
    if digest:
        environment[MAINTENANCE_VARIABLE] = digest
    with aws_errors():
        client.update_function_configuration(
            FunctionName=proxy, Environment={"Variables": environment}
        )
        client.get_waiter("function_updated").wait(FunctionName=proxy)


def _load_environment(client: "LambdaClient", proxy: str) -> dict[str, str]:
    with aws_errors():
        configuration = client.get_function_configuration(FunctionName=proxy)
    return dict(configuration.get("Environment", {}).get("Variables", {}))
