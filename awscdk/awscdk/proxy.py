"""The proxy function: passes requests from API Gateway on to Django in the VPC."""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from awscdk.config import Config
from awscdk.django_function import DjangoFunction
from awscdk.functions import HelperFunction
from djambda_common.names import ALIAS, BLOCKED_PATHS_VARIABLE, CORS_VARIABLE

GATEWAY_TIMEOUT = Duration.seconds(29)


class Proxy(HelperFunction):
    """`function`, which may invoke Django's alias `live`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
        *,
        django: DjangoFunction,
        alias: lambda_.IAlias,
    ) -> None:
        environment = {"FUNCTION_NAME": alias.function_arn}
        if config.blocked_paths:
            environment[BLOCKED_PATHS_VARIABLE] = ",".join(config.blocked_paths)
        if config.cors_origins:
            environment[CORS_VARIABLE] = ",".join(config.cors_origins)
        super().__init__(
            scope,
            id,
            function_name=config.proxy_function_name,
            handler="proxy.lambda_handler",
            description="The proxy: passes requests on to Django in the VPC",
            timeout=GATEWAY_TIMEOUT,
            log_days=config.log_retention_days,
            environment=environment,
        )
        # Not by reference to the alias: so the policy is created before the alias, and IAM has
        # applied it by then.
        self.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[f"{django.function.function_arn}:{ALIAS}"],
            )
        )
