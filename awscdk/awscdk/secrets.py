"""The secrets, generated during the first deploy and stored in SSM at no cost.

A custom resource creates the missing SecureString parameters (`awslambda/generated_secrets.py`).
The template contains none of them. The database password passes through CloudFormation as a NoEcho
attribute; Django reads all of them from SSM.

The same function takes the snapshots of the project's variables (`variables_snapshot.py`).
"""

from aws_cdk import ArnFormat, CustomResource, Duration, SecretValue, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from awscdk.config import Config
from awscdk.findings import acknowledge_wildcard, nag_notation
from awscdk.functions import HelperFunction
from djambda_common.names import SECRET_PARAMETERS, SECRETS_SUFFIX
from djambda_common.variables import KINDS, SNAPSHOTS


class Secrets(Construct):
    """`path`, the parameters' common path, and `database_password`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
    ) -> None:
        super().__init__(scope, id)
        self.path = config.secrets_path
        self.path_arn = Stack.of(self).format_arn(
            service="ssm", resource="parameter", resource_name=self.path.lstrip("/")
        )
        generator = self._generator = HelperFunction(
            self,
            "Generator",
            function_name=config.name + SECRETS_SUFFIX,
            handler="generated_secrets.lambda_handler",
            description="Generates the secrets that are missing in SSM (at deploys)",
            timeout=Duration.minutes(2),
            log_days=config.log_retention_days,
        )
        generator.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["ssm:GetParameter", "ssm:PutParameter"],
                resources=[f"{self.path_arn}/{name}" for name in SECRET_PARAMETERS],
            )
        )
        self._allow_snapshots(config)
        if config.ephemeral:
            generator.function.add_to_role_policy(
                iam.PolicyStatement(
                    actions=["ssm:DeleteParameters", "ssm:GetParametersByPath"],
                    resources=[self.path_arn, f"{self.path_arn}/*"],
                )
            )
            self._acknowledge(
                generator,
                "*",
                "An ephemeral environment deletes the project's own variables with the stack.",
            )
        generated = CustomResource(
            self,
            "Generated",
            service_token=generator.function.function_arn,
            resource_type="Custom::GeneratedSecrets",
            properties={"Path": self.path, "Keep": "false" if config.ephemeral else "true"},
            service_timeout=Duration.minutes(3),
        )
        self.database_password = SecretValue.resource_attribute(
            generated.get_att_string("DatabasePassword")
        )

    def grant_read(self, role: iam.Role) -> None:
        """Allow reading the secrets, the snapshots of the variables, and the variables."""
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["ssm:GetParameters"],
                resources=[
                    *(f"{self.path_arn}/{name}" for name in SECRET_PARAMETERS),
                    f"{self.path_arn}/{SNAPSHOTS}/*",
                ],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["ssm:GetParametersByPath"],
                # Versions that were published before there were snapshots read the whole path.
                resources=[self.path_arn, *(f"{self.path_arn}/{kind}" for kind in KINDS)],
            )
        )
        self._acknowledge(role, f"{SNAPSHOTS}/*", "Each version reads its own snapshot.")

    def take_snapshot(self, snapshot: str, function: lambda_.Function, name: str) -> None:
        """Take a snapshot of the variables before the function is updated to read it."""
        resource = CustomResource(
            self,
            "Variables",
            service_token=self._generator.function.function_arn,
            resource_type="Custom::VariablesSnapshot",
            properties={"Path": self.path, "FunctionName": name, "Snapshot": snapshot},
            service_timeout=Duration.minutes(3),
        )
        function.node.add_dependency(resource)

    def _allow_snapshots(self, config: Config) -> None:
        """Allow reading the variables, and writing and deleting their snapshots."""
        function = Stack.of(self).format_arn(
            service="lambda",
            resource="function",
            resource_name=config.django_function_name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        snapshots = f"{self.path_arn}/{SNAPSHOTS}"
        for actions, resources in {
            ("ssm:GetParametersByPath",): [
                *(f"{self.path_arn}/{kind}" for kind in KINDS),
                snapshots,
                f"{snapshots}/*",
            ],
            ("ssm:DeleteParameters", "ssm:PutParameter"): [f"{snapshots}/*"],
            ("lambda:ListVersionsByFunction",): [function],
        }.items():
            self._generator.function.add_to_role_policy(
                iam.PolicyStatement(actions=list(actions), resources=resources)
            )
        self._acknowledge(self._generator, f"{SNAPSHOTS}/*", "Each version has its own snapshot.")

    def _acknowledge(self, role: Construct, name: str, reason: str) -> None:
        acknowledge_wildcard(role, f"{nag_notation(self, self.path_arn)}/{name}", reason)
