"""The Lambda functions: Django in the VPC, and the small helpers outside of it.

Each has a role of its own with the few permissions that it uses, a log group of its own with a
retention, and JSON logs. Code and layer are staged by `code.py` and checked by `layer.py`.
"""

from pathlib import Path

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from awscdk import code
from awscdk.findings import acknowledge, acknowledge_wildcard
from awscdk.network import Network

RUNTIME = lambda_.Runtime.PYTHON_3_13
HELPER_MEMORY_MB = 256
RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}
ARCHITECTURES = {"x86_64": lambda_.Architecture.X86_64, "arm64": lambda_.Architecture.ARM_64}


class HelperFunction(Construct):
    """A small function from `awslambda/`, outside the VPC: `function`."""

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
        log_group = _log_group(self, function_name, log_days)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=function_name,
            description=description,
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            handler=handler,
            code=lambda_.Code.from_asset(str(code.helpers())),
            memory_size=HELPER_MEMORY_MB,
            timeout=timeout,
            environment=environment,
            retry_attempts=0,  # CloudFormation waits for one answer: a repeated release is none.
            role=_role(self, log_group),
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
        )
        _accept_runtime(self.function)


class DjangoFunction(Construct):
    """The function that runs Django: `function`, and `version`, what was deployed just now.

    The version is a new one whenever code, layer or configuration changed. It serves nobody until
    the release has moved the alias to it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function_name: str,
        network: Network,
        layer: Path,
        architecture: str,
        memory_mb: int,
        timeout: Duration,
        concurrency: int | None,
        log_days: int,
        environment: dict[str, str],
    ) -> None:
        super().__init__(scope, id)
        log_group = _log_group(self, function_name, log_days)
        self.role = _role(self, log_group, in_vpc=True)
        staged = code.django()
        dependencies = lambda_.LayerVersion(
            self,
            "Dependencies",
            description="What django/requirements.txt names",
            code=lambda_.Code.from_asset(str(layer)),
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURES[architecture]],
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=function_name,
            description="Django: gateway events and management commands",
            runtime=RUNTIME,
            architecture=ARCHITECTURES[architecture],
            handler="djambda.awslambda.lambda_handler",
            code=lambda_.Code.from_asset(str(staged)),
            layers=[dependencies],
            memory_size=memory_mb,
            timeout=timeout,
            reserved_concurrent_executions=concurrency,
            environment={**environment, "RELEASE": code.release_of(staged, layer)},
            vpc=network.vpc,
            vpc_subnets=network.functions,
            security_groups=[network.functions_group],
            ipv6_allowed_for_dual_stack=True,
            role=self.role,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
        )
        self.version = self.function.current_version
        _accept_runtime(self.function)


def _log_group(scope: Construct, function_name: str, days: int) -> logs.LogGroup:
    return logs.LogGroup(
        scope,
        "Logs",
        log_group_name=f"/aws/lambda/{function_name}",
        retention=RETENTION[days],
        removal_policy=RemovalPolicy.DESTROY,
    )


def _role(scope: Construct, log_group: logs.ILogGroup, *, in_vpc: bool = False) -> iam.Role:
    """A role that may write this log group and, in a VPC, let Lambda attach the function to it."""
    role = iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    if in_vpc:
        role.add_to_policy(
            iam.PolicyStatement(
                # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
                actions=[
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:CreateNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSubnets",
                    "ec2:UnassignPrivateIpAddresses",
                ],
                resources=["*"],
            )
        )
        acknowledge_wildcard(
            role, "*", "Lambda checks for these network interface actions on all resources."
        )
    return role


def _accept_runtime(function: lambda_.Function) -> None:
    acknowledge(
        function,
        "AwsSolutions-L1",
        "Python 3.13 is supported until 2029; every dependency has wheels for it.",
    )
