"""The secrets, generated at the first deploy and stored in SSM for free.

A custom resource creates the missing SecureString parameters (`awslambda/generated_secrets.py`).
The template contains none of them. The database password passes through CloudFormation as a NoEcho
attribute; Django reads all of them from SSM.
"""

from aws_cdk import CustomResource, Duration, SecretValue, Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct

from awscdk.config import Config
from awscdk.findings import acknowledge_wildcard
from awscdk.functions import HelperFunction
from djambda_common.names import SECRET_PARAMETERS, SECRETS_SUFFIX


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
        generator = HelperFunction(
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
        if config.ephemeral:
            generator.function.add_to_role_policy(
                iam.PolicyStatement(
                    actions=["ssm:DeleteParameters", "ssm:GetParametersByPath"],
                    resources=[self.path_arn, f"{self.path_arn}/*"],
                )
            )
            acknowledge_wildcard(
                generator,
                f"{_nag_notation(self, self.path_arn)}/*",
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
        """Allow reading all parameters of the path in one request."""
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["ssm:GetParametersByPath"],
                resources=[self.path_arn],
            )
        )


def _nag_notation(scope: Construct, arn: str) -> str:
    """Return an ARN as cdk-nag writes it, if the stack is not bound to an account."""
    account = Stack.of(scope).account
    return arn.replace(account, "<AWS::AccountId>") if Token.is_unresolved(account) else arn
