"""The project's schedules: EventBridge Scheduler runs management commands in the live version.

Scheduler invokes the alias `live` asynchronously, so that a rollback applies to schedules as well.
Lambda does not repeat a command that fails there; the next run comes with the schedule.
"""

import json
from collections.abc import Sequence

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from awscdk.config import Config
from awscdk.project_schedules import ProjectSchedule
from awscdk.scheduler_role import create_scheduler_role
from djambda_common.names import ALIAS

MAX_DESCRIPTION = 512
DELIVERY_HOURS = 1
"""The time that Scheduler has to deliver a run to Lambda, e.g. while the function is `Inactive`."""
RESERVED_IDS = {"Default", "Group", "Role"}
"""Those of the other constructs, and one that CDK interprets. Names of schedules have no dot."""
DELIVERY_ATTEMPTS = 185
"""https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html (the maximum)"""


class Schedules(Construct):
    """A group with the stack's name, its schedules, and their role, which invokes the alias."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
        *,
        function: lambda_.IFunction,
        alias: lambda_.Alias,
        schedules: Sequence[ProjectSchedule],
    ) -> None:
        super().__init__(scope, id)
        group = scheduler.CfnScheduleGroup(self, "Group", name=config.name)
        # Not by reference to the alias: IAM applies the policy while the release runs.
        role = create_scheduler_role(self, "Role", group, f"{function.function_arn}:{ALIAS}")
        for each in schedules:
            schedule = scheduler.CfnSchedule(
                self,
                f"Schedule.{each.name}" if each.name in RESERVED_IDS else each.name,
                name=each.name,
                group_name=group.ref,
                description=each.command[:MAX_DESCRIPTION],
                schedule_expression=each.at,
                schedule_expression_timezone=each.zone,
                flexible_time_window={"mode": "OFF"},
                target={
                    # The reference to the alias also makes the schedule wait for the release.
                    "arn": alias.function_arn,
                    "roleArn": role.role_arn,
                    "input": json.dumps(
                        {
                            "schedule": each.name,
                            "manage": each.command,
                            "time": "<aws.scheduler.scheduled-time>",
                        }
                    ),
                    "retryPolicy": {
                        "maximumEventAgeInSeconds": DELIVERY_HOURS * 3600,
                        "maximumRetryAttempts": DELIVERY_ATTEMPTS,
                    },
                },
            )
            schedule.node.add_dependency(role)
