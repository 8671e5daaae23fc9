"""The function that runs Django, inside the VPC, with its dependencies in a layer.

Code and layer are staged by `code.py`; `layer.py` has checked the layer before.
"""

from pathlib import Path

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from awscdk import code
from awscdk.findings import acknowledge_wildcard
from awscdk.functions import RUNTIME, accept_runtime, own_log_group, own_role
from awscdk.network import Network

ARCHITECTURES = {"x86_64": lambda_.Architecture.X86_64, "arm64": lambda_.Architecture.ARM_64}

NETWORK_INTERFACES = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions"""


class DjangoFunction(Construct):
    """The function that runs Django: `function`, and `version`, what was deployed just now.

    The version is a new one whenever code, layer or configuration changed. It serves nobody until
    the release has moved the alias to it. Old ones stay, so that the alias can go back; one whose
    release failed goes, or Lambda would not publish the same code again at the next try.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function_name: str,
        network: Network,
        project: Path,
        layer: Path,
        architecture: str,
        memory_mb: int,
        timeout: Duration,
        concurrency: int | None,
        log_days: int,
        environment: dict[str, str],
    ) -> None:
        super().__init__(scope, id)
        log_group = own_log_group(self, function_name, log_days)
        self.role = own_role(self, log_group)
        _allow_network_interfaces(self.role, function_name)
        staged = code.django_package(project)
        dependencies = lambda_.LayerVersion(
            self,
            "Dependencies",
            description="What django/requirements.txt names",
            code=code.asset(layer),
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
            code=code.asset(staged),
            layers=[dependencies],
            memory_size=memory_mb,
            timeout=timeout,
            reserved_concurrent_executions=concurrency,
            environment={**environment, "RELEASE": code.build_id(staged, layer)},
            vpc=network.vpc,
            vpc_subnets=network.functions,
            security_groups=[network.functions_group],
            ipv6_allowed_for_dual_stack=True,
            role=self.role,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            current_version_options=lambda_.VersionOptions(
                removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            ),
        )
        self.version = self.function.current_version
        accept_runtime(self.function)


def _allow_network_interfaces(role: iam.Role, function_name: str) -> None:
    """Let Lambda attach a function to its VPC, and deny the same to the function's own code."""
    role.add_to_policy(iam.PolicyStatement(actions=NETWORK_INTERFACES, resources=["*"]))
    function = Stack.of(role).format_arn(
        service="lambda",
        resource="function",
        resource_name=function_name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    role.add_to_policy(
        iam.PolicyStatement(
            effect=iam.Effect.DENY,
            actions=NETWORK_INTERFACES,
            resources=["*"],
            conditions={"ArnEquals": {"lambda:SourceFunctionArn": function}},
        )
    )
    acknowledge_wildcard(
        role, "*", "Lambda checks for these network interface actions on all resources."
    )
