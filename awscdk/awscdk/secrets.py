"""The secrets that nobody has to invent: generated at the first deploy, kept in SSM for free.

A custom resource makes the SecureString parameters that are missing (`awslambda/
generated_secrets.py`). None of them is in the template; the database's password passes through
CloudFormation as a NoEcho attribute, Django reads the others from SSM itself.
"""

from aws_cdk import CustomResource, Duration, SecretValue, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from awscdk.functions import HelperFunction
from djambda_common.names import SECRET_PARAMETERS


class Secrets(Construct):
    """`path`, under which the parameters are, and `database_password`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        path: str,
        function_name: str,
        log_days: int,
        ephemeral: bool,
    ) -> None:
        super().__init__(scope, id)
        self.path = path
        self.path_arn = Stack.of(self).format_arn(
            service="ssm", resource="parameter", resource_name=path.lstrip("/")
        )
        generator = HelperFunction(
            self,
            "Generator",
            function_name=function_name,
            handler="generated_secrets.lambda_handler",
            description="Generates the secrets that are missing in SSM (at deploys)",
            timeout=Duration.minutes(2),
            log_days=log_days,
        )
        generator.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["ssm:DeleteParameters", "ssm:GetParameter", "ssm:PutParameter"],
                resources=[f"{self.path_arn}/{name}" for name in SECRET_PARAMETERS],
            )
        )
        generated = CustomResource(
            self,
            "Generated",
            service_token=generator.function.function_arn,
            resource_type="Custom::GeneratedSecrets",
            properties={"Path": path, "Keep": "false" if ephemeral else "true"},
            service_timeout=Duration.minutes(3),
        )
        self.database_password = SecretValue.resource_attribute(
            generated.get_att_string("DatabasePassword")
        )

    def grant_read(self, role: iam.Role) -> None:
        """Allow reading all of the path's parameters in one call."""
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["ssm:GetParametersByPath"],
                resources=[self.path_arn],
            )
        )
