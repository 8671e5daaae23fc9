"""Background tasks: invocations of the Django function through an alias of its own.

Lambda retries them, which it must not do with management commands, whose alias is `live`. An event
that has failed for the last time goes to a small function (`awslambda/failed_tasks.py`), which
records it even if Django cannot start. Tasks for later are one-time schedules of EventBridge
Scheduler, which Django creates. `task_queue.py` has what the backend "queue" needs in addition.
"""

from collections.abc import Sequence

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from awscdk.config import Config
from awscdk.django_function import DjangoFunction
from awscdk.findings import acknowledge_wildcard, arn_of, nag_notation
from awscdk.functions import HelperFunction
from awscdk.scheduler_role import create_scheduler_role
from awscdk.task_queue import TaskQueue
from djambda_common.names import (
    FAILED_TASKS_SUFFIX,
    QUEUE,
    TASK_ATTEMPTS,
    TASKS_ALIAS,
    TASKS_PREFIX,
    TASKS_ROLE_VARIABLE,
    TASKS_SUFFIX,
    TASKS_TARGET_VARIABLE,
    TASKS_VARIABLE,
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
        backend: str,
        django: DjangoFunction,
        bucket: s3.Bucket,
    ) -> None:
        super().__init__(scope, id)
        failed = self._add_failed_tasks(config, bucket)
        self.alias = lambda_.Alias(
            self,
            "Alias",
            alias_name=TASKS_ALIAS,
            version=django.version,
            description="The live version, for tasks",
        )
        retries = lambda_.CfnEventInvokeConfig(
            self,
            "Retries",
            function_name=django.function.function_name,
            qualifier=self.alias.alias_name,
            maximum_retry_attempts=TASK_ATTEMPTS - 1,
            maximum_event_age_in_seconds=EVENT_AGE.to_seconds(),
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(
                    destination=failed.function_arn
                )
            ),
        )
        retries.node.add_dependency(self.alias)  # The qualifier is a text, not a reference.
        # Not by reference to the alias: the function needs the policy, and the alias the function.
        alias_arn = self._arn("lambda", f"function:{config.django_function_name}:{TASKS_ALIAS}")
        role = self._add_scheduler(config, alias_arn)
        permissions = self._allow(config, django, [alias_arn, failed.function_arn], role)
        retries.node.add_dependency(permissions)  # Lambda checks that for the destination.
        if backend == QUEUE:
            TaskQueue(self, "Queue", config, django=django, alias=self.alias)
        for name, value in {
            TASKS_VARIABLE: backend,
            TASKS_TARGET_VARIABLE: alias_arn,
            TASKS_ROLE_VARIABLE: role.role_arn,
        }.items():
            django.function.add_environment(name, value)

    def _add_failed_tasks(self, config: Config, bucket: s3.Bucket) -> lambda_.Function:
        """Add the function that records the tasks whose worker was killed."""
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
        for actions, resource in (
            (["s3:GetObject", "s3:PutObject"], bucket.arn_for_objects(f"{TASKS_PREFIX}*")),
            (["s3:ListBucket"], bucket.bucket_arn),  # Else S3 does not report missing records.
        ):
            failed.function.add_to_role_policy(
                iam.PolicyStatement(actions=actions, resources=[resource])
            )
        acknowledge_wildcard(
            failed, f"{arn_of(bucket)}/{TASKS_PREFIX}*", "A record's name is the task's id."
        )
        return failed.function

    def _add_scheduler(self, config: Config, alias_arn: str) -> iam.Role:
        """Add the group of the tasks for later, and the role that sends them.

        They invoke the alias with both backends: a schedule remains when the backend changes.
        """
        group = scheduler.CfnScheduleGroup(self, "Later", name=config.name + TASKS_SUFFIX)
        return create_scheduler_role(self, "Sender", group, alias_arn)

    def _allow(
        self, config: Config, django: DjangoFunction, functions: Sequence[str], sender: iam.Role
    ) -> iam.Policy:
        """Allow Django to invoke functions, and to create schedules that the sender's role runs."""
        schedules = self._arn("scheduler", f"schedule/{config.name}{TASKS_SUFFIX}/*")
        permissions = django.allow(
            self,
            "Permissions",
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=list(functions)),
            iam.PolicyStatement(actions=["scheduler:CreateSchedule"], resources=[schedules]),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[sender.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
            ),
        )
        acknowledge_wildcard(
            permissions, nag_notation(self, schedules), "A schedule's name is the task's id."
        )
        return permissions

    def _arn(self, service: str, resource: str) -> str:
        return Stack.of(self).format_arn(
            service=service, resource=resource, arn_format=ArnFormat.NO_RESOURCE_NAME
        )
