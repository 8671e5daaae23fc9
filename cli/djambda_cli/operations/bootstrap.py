"""The CDK's bootstrap, which an account and region need once."""

from botocore.exceptions import ClientError

from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import BOOTSTRAP_VERSION, Deployment
from djambda_cli.operations.confirm import Confirm
from djambda_cli.operations.synthesis import cdk_of
from djambda_cli.steps import Steps


def bootstrap_if_needed(deployment: Deployment, steps: Steps, confirm: Confirm) -> None:
    """Create the CDK's bootstrap stack after confirmation, unless it exists. Raises `CliError`."""
    region = deployment.config.aws_default_region
    with aws_errors():
        if _is_bootstrapped(deployment):
            return
        account = deployment.client("sts").get_caller_identity()["Account"]
    confirm(
        f"The CDK is not set up in account {account}, region {region}. It needs its bootstrap "
        "stack there (CDKToolkit: roles and a bucket, which costs only its storage). Create it?"
    )
    with steps.step("Bootstrap CDK") as progress:
        cdk_of(deployment).bootstrap(account, region, progress)


def _is_bootstrapped(deployment: Deployment) -> bool:
    try:
        deployment.client("ssm").get_parameter(Name=BOOTSTRAP_VERSION)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ParameterNotFound":
            return False
        if "AccessDenied" not in code:
            raise
        # A role that may only assume the CDK's roles cannot read it; the CDK checks it too.
    return True
