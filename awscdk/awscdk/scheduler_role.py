"""The role with which the schedules of a group in EventBridge Scheduler invoke a function."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct


def create_scheduler_role(
    scope: Construct, id: str, group: scheduler.CfnScheduleGroup, target_arn: str
) -> iam.Role:
    """Return a role that Scheduler assumes for this group only, and that may invoke the target.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    role = iam.Role(
        scope,
        id,
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com",
            conditions={
                "StringEquals": {"aws:SourceAccount": Stack.of(scope).account},
                "ArnEquals": {"aws:SourceArn": group.attr_arn},
            },
        ),
    )
    role.add_to_policy(
        iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[target_arn])
    )
    return role
