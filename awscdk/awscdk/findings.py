"""Answers to cdk-nag: a finding that stands is acknowledged with its reason, beside its cause."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept what `rule` (as cdk-nag prints it) finds on `construct` and below, for `reason`."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))
