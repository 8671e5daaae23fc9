"""The release: a new version serves only after its migrations and static files are in place.

CloudFormation publishes the version, then this custom resource (`awslambda/release.py`) runs the
deploy-time management commands in it, and only then does the alias `live`, which the front door
calls, move. If a command fails, the deploy fails with its output and the alias stays where it was.
"""

from collections.abc import Sequence

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IDependable

from awscdk.django_function import DjangoFunction
from awscdk.findings import acknowledge_wildcard, arn_of
from awscdk.functions import HelperFunction
from djambda_common.names import ALIAS, ASYNC_START_SECONDS

LIMIT = Duration.minutes(15)
START_LIMIT = Duration.seconds(ASYNC_START_SECONDS)
"""A management command that finds no free instance by then is dropped: its sender may have sent it
again. `djambda manage` relies on this limit."""


class Release(Construct):
    """`alias`: the version of Django that serves. The commands run once what they need is there."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        django: DjangoFunction,
        needs: Sequence[IDependable],
        function_name: str,
        log_days: int,
    ) -> None:
        super().__init__(scope, id)
        releaser = HelperFunction(
            self,
            "Releaser",
            function_name=function_name,
            handler="release.lambda_handler",
            description="Runs migrate and collectstatic in a new version (at deploys)",
            timeout=LIMIT,
            log_days=log_days,
        )
        function = django.function.function_arn
        for action, resource in {
            "lambda:GetAlias": function,
            "lambda:InvokeFunction": f"{function}:*",
        }.items():
            releaser.function.add_to_role_policy(
                iam.PolicyStatement(actions=[action], resources=[resource])
            )
        acknowledge_wildcard(
            releaser,
            f"{arn_of(django.function)}:*",
            "Versions of one function. Naming the new one would change the policy at each deploy, "
            "and IAM takes a while to apply a policy.",
        )
        release = CustomResource(
            self,
            "Run",
            service_token=releaser.function.function_arn,
            resource_type="Custom::DjangoRelease",
            properties={
                "FunctionName": django.function.function_name,
                "Version": django.version.version,
                "Alias": ALIAS,
            },
            service_timeout=LIMIT.plus(Duration.minutes(1)),
        )
        release.node.add_dependency(*needs)
        self.alias = lambda_.Alias(
            self,
            "Live",
            alias_name=ALIAS,
            version=django.version,
            description="The version that serves the site",
        )
        self.alias.node.add_dependency(release)
        self.alias.configure_async_invoke(retry_attempts=0, max_event_age=START_LIMIT)
