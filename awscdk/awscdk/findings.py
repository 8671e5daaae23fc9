"""Acknowledge findings of cdk-nag with a reason, next to the code that causes them."""

from typing import cast

from aws_cdk import Acknowledgment, CfnElement, Stack, Token, Validations
from constructs import Construct, IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Acknowledge the findings of `rule` (as named by cdk-nag) on `construct` and below."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def acknowledge_wildcard(role: IConstruct, resource: str, reason: str) -> None:
    """Acknowledge that a policy of `role` has `resource`, which contains a `*`."""
    acknowledge(role, f"AwsSolutions-IAM5[Resource::{resource}]", reason)


def nag_notation(scope: Construct, arn: str) -> str:
    """Return an ARN as cdk-nag writes it, if the stack is not bound to an account."""
    account = Stack.of(scope).account
    return arn.replace(account, "<AWS::AccountId>") if Token.is_unresolved(account) else arn


def arn_of(construct: Construct) -> str:
    """Return the ARN of a construct's resource in cdk-nag's notation."""
    resource = cast("CfnElement", construct.node.default_child)
    return f"<{Stack.of(construct).get_logical_id(resource)}.Arn>"
