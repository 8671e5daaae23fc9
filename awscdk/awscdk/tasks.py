"""Background tasks: asynchronous invocations of the Django function through an alias of its own.

Lambda retries them, which it must not do with management commands, whose alias is `live`. An event
that has failed for the last time goes to a small function (`awslambda/failed_tasks.py`), which
records it even if Django cannot start.
"""

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from awscdk.config import Config
from awscdk.django_function import DjangoFunction
from awscdk.findings import acknowledge_wildcard, arn_of
from awscdk.functions import HelperFunction
from djambda_common.names import (
    FAILED_TASKS_SUFFIX,
    TASK_ATTEMPTS,
    TASKS_ALIAS,
    TASKS_PREFIX,
)

EVENT_AGE = Duration.hours(6)
"""Lambda's maximum: the time in which a task must start while the function has no capacity."""
TIMEOUT = Duration.minutes(1)


class Tasks(Construct):
    """`alias`, which points to the live version and which Django may invoke."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
        *,
        django: DjangoFunction,
        bucket: s3.Bucket,
    ) -> None:
        super().__init__(scope, id)
        failed = HelperFunction(
            self,
            "Failed",
            function_name=config.name + FAILED_TASKS_SUFFIX,
            handler="failed_tasks.lambda_handler",
            description="Records tasks whose worker was killed",
            timeout=TIMEOUT,
            log_days=config.log_retention_days,
            environment={"BUCKET": bucket.bucket_name},
            retry_attempts=2,
        )
        records = bucket.arn_for_objects(f"{TASKS_PREFIX}*")
        for actions, resource in (
            (["s3:GetObject", "s3:PutObject"], records),
            (["s3:ListBucket"], bucket.bucket_arn),  # Else S3 does not report missing records.
        ):
            failed.function.add_to_role_policy(
                iam.PolicyStatement(actions=actions, resources=[resource])
            )
        acknowledge_wildcard(
            failed, f"{arn_of(bucket)}/{TASKS_PREFIX}*", "A record's name is the task's id."
        )
        self.alias = lambda_.Alias(
            self,
            "Alias",
            alias_name=TASKS_ALIAS,
            version=django.version,
            description="The live version, for tasks",
        )
        lambda_.CfnEventInvokeConfig(
            self,
            "Retries",
            function_name=django.function.function_name,
            qualifier=self.alias.alias_name,
            maximum_retry_attempts=TASK_ATTEMPTS - 1,
            maximum_event_age_in_seconds=EVENT_AGE.to_seconds(),
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(
                    destination=failed.function.function_arn
                )
            ),
        )
        # Not by reference to the alias: the function needs the policy, and the alias the function.
        function = Stack.of(self).format_arn(
            service="lambda",
            resource="function",
            resource_name=f"{config.django_function_name}:{TASKS_ALIAS}",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        django.role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[function, failed.function.function_arn],
            )
        )
