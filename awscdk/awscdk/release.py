"""The release: a new version goes live only after its migrations and static files are in place.

CloudFormation publishes the version, then this custom resource (`awslambda/release.py`) runs the
project's management commands in it, and then the alias `live`, which the proxy invokes, moves. If a
command fails, the deploy fails with its output, and the alias does not move.
"""

from collections.abc import Sequence

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IDependable

from awscdk.config import Config
from awscdk.django_function import DjangoFunction
from awscdk.findings import acknowledge_wildcard, arn_of
from awscdk.functions import HelperFunction
from djambda_common.names import (
    ADMIN_PATH,
    ALIAS,
    ASYNC_START_SECONDS,
    RELEASE_COMMANDS,
    RELEASE_SUFFIX,
    REPLACED_SETTINGS,
    SUPERUSER,
)

TIMEOUT = Duration.minutes(15)
START_TIMEOUT = Duration.seconds(ASYNC_START_SECONDS)
"""Lambda drops a management command that it could not start by then, because its sender may have
sent it again. `djambda manage` relies on this limit."""


class Release(Construct):
    """`commands`, which run after `dependencies` exist, and `alias`, which then moves.

    `superuser`, `admin_path` and `replaced_settings` are facts about the released site, for the
    stack's outputs.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
        *,
        django: DjangoFunction,
        commands: Sequence[str],
        dependencies: Sequence[IDependable],
    ) -> None:
        super().__init__(scope, id)
        releaser = HelperFunction(
            self,
            "Releaser",
            function_name=config.name + RELEASE_SUFFIX,
            handler="release.lambda_handler",
            description="Runs migrate and collectstatic in a new version (at deploys)",
            timeout=TIMEOUT,
            log_days=config.log_retention_days,
        )
        function = django.function.function_arn
        for action, resources in {
            # Documented for the function; the request names the alias.
            "lambda:GetAlias": [function, f"{function}:{ALIAS}"],
            "lambda:InvokeFunction": [f"{function}:*"],
        }.items():
            releaser.function.add_to_role_policy(
                iam.PolicyStatement(actions=[action], resources=resources)
            )
        acknowledge_wildcard(
            releaser,
            f"{arn_of(django.function)}:*",
            "All versions of one function. Naming one would change the policy at each deploy, "
            "and IAM takes a while to apply changes.",
        )
        self.commands = CustomResource(
            self,
            "Run",
            service_token=releaser.function.function_arn,
            resource_type="Custom::DjangoRelease",
            properties={
                "FunctionName": django.function.function_name,
                "Version": django.version.version,
                "Alias": ALIAS,
                **({} if commands == RELEASE_COMMANDS else {"Commands": list(commands)}),
            },
            service_timeout=TIMEOUT.plus(Duration.minutes(1)),
        )
        self.commands.node.add_dependency(*dependencies)
        self.superuser = self.commands.get_att_string(SUPERUSER)
        self.admin_path = self.commands.get_att_string(ADMIN_PATH)
        self.replaced_settings = self.commands.get_att_string(REPLACED_SETTINGS)
        self.alias = lambda_.Alias(
            self,
            "Live",
            alias_name=ALIAS,
            version=django.version,
            description="The live version",
        )
        self.alias.node.add_dependency(self.commands)
        self.alias.configure_async_invoke(retry_attempts=0, max_event_age=START_TIMEOUT)
