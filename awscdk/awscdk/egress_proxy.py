"""The egress function of `EGRESS=proxy`: HTTP requests for Django, from outside the VPC."""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from awscdk.config import Config
from awscdk.django_function import DjangoFunction
from awscdk.functions import HelperFunction
from djambda_common.names import EGRESS_SUFFIX, EGRESS_VARIABLE

TIMEOUT = Duration.minutes(15)
"""As long as a management command, which may wait for a response."""


class EgressProxy(HelperFunction):
    """`function`, which only Django may invoke, and which itself has no permissions."""

    def __init__(
        self, scope: Construct, id: str, config: Config, *, django: DjangoFunction
    ) -> None:
        super().__init__(
            scope,
            id,
            function_name=config.name + EGRESS_SUFFIX,
            handler="egress.lambda_handler",
            description="Makes HTTP requests to hosts without IPv6 for Django",
            timeout=TIMEOUT,
            log_days=config.log_retention_days,
        )
        django.allow(
            self,
            "Permissions",
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"], resources=[self.function.function_arn]
            ),
        )
        django.function.add_environment(EGRESS_VARIABLE, self.function.function_name)
