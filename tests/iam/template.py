"""The roles of a synthesized template, as CloudFormation would create them in the test's account.

Only the functions of CloudFormation and the resources that policies refer to are supported; others
raise `KeyError`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.iam.calls import ACCOUNT, REGION, arn, function_arn, stack_arn
from tests.iam.simulator import Policy

PHYSICAL_NAMES = {
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Scheduler::ScheduleGroup": "Name",
    "AWS::SQS::Queue": "QueueName",
}
"""The types of resources whose names the template contains, and the property with the name."""

ARNS: dict[str, Callable[[str], str]] = {
    "AWS::IAM::Role": lambda name: f"arn:aws:iam::{ACCOUNT}:role/{name}",
    "AWS::Lambda::Function": function_arn,
    "AWS::Logs::LogGroup": lambda name: arn("logs", f"log-group:{name}:*"),
    "AWS::S3::Bucket": lambda name: f"arn:aws:s3:::{name}",
    "AWS::Scheduler::ScheduleGroup": lambda name: arn("scheduler", f"schedule-group/{name}"),
    "AWS::SQS::Queue": lambda name: arn("sqs", name),
}
"""The attribute `Arn` of a resource by its name."""


@dataclass(frozen=True)
class Role:
    """A role: its ARN, who may assume it, and what it permits."""

    arn: str
    trust: Policy
    policies: tuple[Policy, ...]


class ResolvedTemplate:
    """The resources of a stack, with the values of CloudFormation's functions."""

    def __init__(self, template: Mapping[str, Any], stack: str) -> None:
        self._stack = stack
        self._resources: Mapping[str, Any] = template["Resources"]

    def resources(self, kind: str) -> dict[str, Any]:
        """Return the properties of all resources of a type by their logical IDs."""
        return {
            name: self._resolve(resource.get("Properties", {}))
            for name, resource in self._resources.items()
            if resource["Type"] == kind
        }

    def roles(self) -> dict[str, Role]:
        """Return all roles by their ARNs."""
        inline = self.resources("AWS::IAM::Policy").values()
        roles = {}
        for name, properties in self.resources("AWS::IAM::Role").items():
            assert properties.keys() <= {"AssumeRolePolicyDocument", "Tags"}, properties.keys()
            role = Role(
                self.arn(name),
                properties["AssumeRolePolicyDocument"],
                tuple(
                    policy["PolicyDocument"]
                    for policy in inline
                    if self._name(name) in policy["Roles"]
                ),
            )
            roles[role.arn] = role
        return roles

    def arn(self, name: str) -> str:
        """Return the ARN of a resource by its logical ID."""
        return ARNS[self._resources[name]["Type"]](self._name(name))

    def _resolve(self, value: Any) -> Any:
        match value:
            case {"Ref": str(name)}:
                return self._reference(name)
            case {"Fn::GetAtt": [name, attribute]}:
                return self.arn(name) if attribute == "Arn" else f"{name}.{attribute}"
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self._resolve(parts))
            case dict():
                return {key: self._resolve(each) for key, each in value.items()}
            case list():
                return [self._resolve(each) for each in value]
            case _:
                return value

    def _reference(self, name: str) -> str:
        pseudo_parameters = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Region": REGION,
            "AWS::StackId": stack_arn(self._stack),
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name in pseudo_parameters:
            return pseudo_parameters[name]
        resource = self._resources[name]
        properties = resource["Properties"]
        match resource["Type"]:
            case "AWS::Lambda::Alias":
                return function_arn(self._resolve(properties["FunctionName"]), properties["Name"])
            case "AWS::SQS::Queue":
                return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self._name(name)}"
            case _:
                return self._name(name)

    def _name(self, name: str) -> str:
        """Return the physical name of a resource."""
        resource = self._resources[name]
        if resource["Type"] in PHYSICAL_NAMES:
            return str(self._resolve(resource["Properties"][PHYSICAL_NAMES[resource["Type"]]]))
        generated = f"{self._stack}-{name}-a1b2c3d4"
        return generated.lower() if resource["Type"] == "AWS::S3::Bucket" else generated
