"""The Django function in the VPC, with its dependencies in a layer.

`code.py` stages the code; `layer.py` has checked the layer before.
"""

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from awscdk import code
from awscdk.config import Config
from awscdk.discovery import Project
from awscdk.findings import acknowledge_wildcard
from awscdk.functions import RUNTIMES, acknowledge_runtime, create_log_group, create_role
from awscdk.network import Network
from djambda_common.names import BUILD_ID_VARIABLE

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
    """The Django function: `function`, its `role`, and the `version` of this deploy.

    A change of code, layer or configuration publishes a new version, which is not live until the
    release moves the alias to it. Old versions are kept for rolling back. A version whose release
    failed is deleted, because Lambda does not publish the same code twice.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
        *,
        network: Network,
        project: Project,
        environment: dict[str, str],
    ) -> None:
        super().__init__(scope, id)
        architecture = ARCHITECTURES[config.lambda_architecture]
        log_group = create_log_group(self, config.django_function_name, config.log_retention_days)
        self.role = create_role(self, log_group)
        _allow_network_interfaces(self.role, config.django_function_name)
        runtime = RUNTIMES[project.python]
        staged = code.django_package(project)
        dependencies = lambda_.LayerVersion(
            self,
            "Dependencies",
            description=f"The packages of {project.requirements.name}",
            code=code.asset(project.layer),
            compatible_runtimes=[runtime],
            compatible_architectures=[architecture],
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=config.django_function_name,
            description="Django: gateway events and management commands",
            runtime=runtime,
            architecture=architecture,
            handler="djambda.awslambda.lambda_handler",
            code=code.asset(staged),
            layers=[dependencies],
            memory_size=config.lambda_memory,
            timeout=Duration.seconds(config.lambda_timeout),
            reserved_concurrent_executions=config.lambda_concurrency,
            environment={**environment, BUILD_ID_VARIABLE: code.build_id(staged, project.layer)},
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
        acknowledge_runtime(self.function)

    def allow(self, scope: Construct, id: str, *statements: iam.PolicyStatement) -> iam.Policy:
        """Allow Django what a feature needs, with a policy of its own.

        CloudFormation deletes the policy of a removed feature after the new version went live. In
        the role's own policy, the statements would be missing while the old version is still live.
        """
        policy = iam.Policy(scope, id, roles=[self.role], statements=list(statements))
        self.function.node.add_dependency(policy)
        return policy


def _allow_network_interfaces(role: iam.Role, function_name: str) -> None:
    """Allow Lambda to attach the function to its VPC, and deny that to the function's own code."""
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
        role, "*", "Lambda requires these network interface actions on all resources."
    )
