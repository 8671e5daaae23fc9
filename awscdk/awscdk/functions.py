"""The helper functions outside the VPC, and the parts that all Lambda functions have.

Each function has its own role with only the permissions that it uses, its own log group with a
retention, and JSON logs. The Django function is in `django_function.py`.
"""

from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from awscdk import code
from awscdk.findings import acknowledge
from awscdk.python_version import DEFAULT_PYTHON

RUNTIMES = {
    "3.12": lambda_.Runtime.PYTHON_3_12,
    "3.13": lambda_.Runtime.PYTHON_3_13,
    "3.14": lambda_.Runtime.PYTHON_3_14,
}
"""The runtimes of the versions of Python that projects may require."""
HELPER_MEMORY_MB = 256


class HelperFunction(Construct):
    """`function` from `awslambda/`, outside the VPC.

    It runs on x86_64, which every region has.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function_name: str,
        handler: str,
        description: str,
        timeout: Duration,
        log_days: int,
        environment: dict[str, str] | None = None,
        retry_attempts: int = 0,  # CloudFormation expects one response.
    ) -> None:
        super().__init__(scope, id)
        log_group = create_log_group(self, function_name, log_days)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=function_name,
            description=description,
            runtime=RUNTIMES[DEFAULT_PYTHON],
            handler=handler,
            code=code.asset(code.helper_package()),
            memory_size=HELPER_MEMORY_MB,
            timeout=timeout,
            environment=environment,
            retry_attempts=retry_attempts,
            role=create_role(self, log_group),
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
        )
        acknowledge_runtime(self.function)


def create_log_group(scope: Construct, function_name: str, days: int) -> logs.LogGroup:
    """Create the function's log group under Lambda's default name, deleted with the function."""
    log_group = logs.LogGroup(
        scope,
        "Logs",
        log_group_name=f"/aws/lambda/{function_name}",
        removal_policy=RemovalPolicy.DESTROY,
    )
    cast("logs.CfnLogGroup", log_group.node.default_child).retention_in_days = days
    return log_group


def create_role(scope: Construct, log_group: logs.ILogGroup) -> iam.Role:
    """Create a role whose only permission is to write to this log group."""
    role = iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    return role


def acknowledge_runtime(function: lambda_.Function) -> None:
    """Acknowledge that the function does not use the newest Python."""
    acknowledge(
        function,
        "AwsSolutions-L1",
        "AWS supports this version of Python, and every dependency has wheels for it.",
    )
