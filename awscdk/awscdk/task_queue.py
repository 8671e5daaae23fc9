"""The queue of tasks: SQS keeps them until one of a limited number of workers is free.

One message is one invocation, so that a worker that is killed takes no other task with it. Messages
that no worker could even begin to process go to the dead-letter queue, from where Django records
them (`djambda.tasks.queue`).
"""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from awscdk.config import Config
from awscdk.django_function import DjangoFunction
from djambda_common.names import (
    DEAD_TASKS_SUFFIX,
    DEAD_TASKS_VARIABLE,
    TASKS_QUEUE_VARIABLE,
    TASKS_SUFFIX,
)

RETENTION = Duration.days(14)
"""The maximum."""
VISIBILITY_FACTOR = 6
"""https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
DELIVERIES = 10
"""The runtime records a task that has failed long before; see `djambda.tasks.queue`."""


class TaskQueue(Construct):
    """The queue, and the mapping that invokes the alias."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
        *,
        django: DjangoFunction,
        alias: lambda_.Alias,
    ) -> None:
        super().__init__(scope, id)
        dead = sqs.Queue(
            self,
            "Dead",
            queue_name=config.name + DEAD_TASKS_SUFFIX,
            enforce_ssl=True,
            retention_period=RETENTION,
        )
        queue = sqs.Queue(
            self,
            "Tasks",
            queue_name=config.name + TASKS_SUFFIX,
            enforce_ssl=True,
            retention_period=RETENTION,
            visibility_timeout=Duration.seconds(VISIBILITY_FACTOR * config.lambda_timeout),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=DELIVERIES),
        )
        permissions = django.allow(
            self,
            "Permissions",
            iam.PolicyStatement(
                actions=[
                    "sqs:SendMessage",
                    "sqs:ChangeMessageVisibility",
                    "sqs:GetQueueAttributes",
                ],
                resources=[queue.queue_arn],
            ),
            iam.PolicyStatement(
                actions=["sqs:ReceiveMessage", "sqs:DeleteMessage"],
                resources=[queue.queue_arn, dead.queue_arn],
            ),
        )
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "Workers",
            event_source_arn=queue.queue_arn,
            function_name=alias.function_arn,
            batch_size=1,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(
                maximum_concurrency=config.tasks_concurrency
            ),
        )
        mapping.node.add_dependency(permissions)  # Lambda checks them.
        django.function.add_environment(TASKS_QUEUE_VARIABLE, queue.queue_url)
        django.function.add_environment(DEAD_TASKS_VARIABLE, dead.queue_url)
