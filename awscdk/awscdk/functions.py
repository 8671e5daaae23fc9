"""What every Lambda function has, and the small helper functions outside the VPC.

Each function has a role of its own with the few permissions that it uses, a log group of its own
with a retention, and JSON logs. Django's is in `django_function.py`.
"""

from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from awscdk import code
from awscdk.findings import acknowledge

RUNTIME = lambda_.Runtime.PYTHON_3_13
HELPER_MEMORY_MB = 256


class HelperFunction(Construct):
    """A small function from `awslambda/`, outside the VPC: `function`.

    It is plain Python, on the architecture that every region has (x86_64).
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
    ) -> None:
        super().__init__(scope, id)
        log_group = own_log_group(self, function_name, log_days)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=function_name,
            description=description,
            runtime=RUNTIME,
            handler=handler,
            code=code.asset(code.helper_package()),
            memory_size=HELPER_MEMORY_MB,
            timeout=timeout,
            environment=environment,
            retry_attempts=0,  # CloudFormation waits for one answer: a repeated release is none.
            role=own_role(self, log_group),
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
        )
        accept_runtime(self.function)


def own_log_group(scope: Construct, function_name: str, days: int) -> logs.LogGroup:
    """The log group where everybody looks for the function's, deleted with the function."""
    log_group = logs.LogGroup(
        scope,
        "Logs",
        log_group_name=f"/aws/lambda/{function_name}",
        removal_policy=RemovalPolicy.DESTROY,
    )
    cast("logs.CfnLogGroup", log_group.node.default_child).retention_in_days = days
    return log_group


def own_role(scope: Construct, log_group: logs.ILogGroup) -> iam.Role:
    """A role that may write this log group, and nothing else yet."""
    role = iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    return role


def accept_runtime(function: lambda_.Function) -> None:
    """Answer cdk-nag, which wants the newest Python there is."""
    acknowledge(
        function,
        "AwsSolutions-L1",
        "Python 3.13 is supported until 2029; every dependency has wheels for it.",
    )
