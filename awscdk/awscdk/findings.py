"""Answers to cdk-nag: a finding that stands is acknowledged with its reason, beside its cause."""

from typing import cast

from aws_cdk import Acknowledgment, CfnElement, Stack, Validations
from constructs import Construct, IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept what `rule` (as cdk-nag prints it) finds on `construct` and below, for `reason`."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def acknowledge_wildcard(role: IConstruct, resource: str, reason: str) -> None:
    """Accept that a policy of `role` names `resource`, which has a `*` in it, for `reason`."""
    acknowledge(role, f"AwsSolutions-IAM5[Resource::{resource}]", reason)


def arn_of(construct: Construct) -> str:
    """How cdk-nag writes the ARN of a construct's resource."""
    resource = cast("CfnElement", construct.node.default_child)
    return f"<{Stack.of(construct).get_logical_id(resource)}.Arn>"
