"""The IAM actions and resources that recorded calls need.

botocore's models name the operation of a request; which resource IAM checks is in the Service
Authorization Reference: https://docs.aws.amazon.com/service-authorization/latest/reference/
A call that is not listed here raises `KeyError`, so that nobody forgets to add it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import botocore.session

from tests.iam.recorder import CALLS

ACCOUNT = "000000000000"
REGION = "us-east-1"
ANY = "*"
SENDER = "shop@example.com"
"""The sender of the test clouds."""

SIGNED_AS = {"monitoring": "cloudwatch", "ses": "sesv2"}
"""The names of services in signatures, where botocore's differ."""
PREFIXES = {"service-quotas": "servicequotas"}
"""IAM's prefixes of services, where they differ from the names in signatures."""
ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "monitoring:GetMetricStatistics": "cloudwatch:GetMetricStatistics",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:UploadPart": "s3:PutObject",
    "ses:SendEmail": "ses:SendRawEmail",  # A message in MIME requires both.
}
"""Actions whose names differ from those of their operations."""
NO_PERMISSION = {"sts:GetCallerIdentity"}
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""

type Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """An action on a resource. `principal` is the ARN of a role's session."""

    principal: str
    action: str
    resource: str

    @property
    def role(self) -> str:
        """The name of the role."""
        return role_name(self.principal)

    @property
    def session(self) -> str:
        """The name of the role's session, for a function's role the function's name."""
        return self.principal.rpartition("/")[2]


def role_name(principal: str) -> str:
    """Return the name of the role that a principal is a session of; "" if it is none."""
    return principal.split("/")[1] if ":assumed-role/" in principal else ""


def arn(service: str, resource: str) -> str:
    """Return the ARN of a resource in the local cloud."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def function_arn(name: str, qualifier: str = "") -> str:
    """Return the ARN of a function from its name or ARN, of a version or an alias with it."""
    base = name if name.startswith("arn:") else arn("lambda", f"function:{name}")
    return f"{base}:{qualifier}" if qualifier else base


def stack_arn(name: str) -> str:
    """Return the ARN of a stack, with any id, from its name or ARN."""
    return name if name.startswith("arn:") else arn("cloudformation", f"stack/{name}/0a1b2c3d")


def parameter_arn(name: str) -> str:
    """Return the ARN of a parameter, or of a path of parameters."""
    return arn("ssm", f"parameter/{name.lstrip('/')}")


def log_arn(name: str) -> str:
    """Return the ARN of a log group's events. IAM adds the suffix.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
    """
    return arn("logs", f"log-group:{name}:log-stream:")


def lambda_resources(name: str, parameters: Parameters) -> list[str]:
    """Return the resources of a call to Lambda.

    GetAlias and UpdateAlias are documented for the function, but their requests name the alias:
    roles must allow both.
    """
    if name in {"ListTags", "TagResource", "UntagResource"}:
        return [parameters["Resource"]]
    if name == "GetAccountSettings":
        return [ANY]
    function = parameters["FunctionName"]
    if name in {"GetAlias", "UpdateAlias"}:
        return [function_arn(function), function_arn(function, parameters["Name"])]
    return [function_arn(function, parameters.get("Qualifier", ""))]


def s3_resources(name: str, parameters: Parameters) -> list[str]:
    """Return the bucket or the objects of a call to S3."""
    bucket = f"arn:aws:s3:::{parameters['Bucket']}"
    if name == "DeleteObjects":
        return [f"{bucket}/{key}" for key in parameters["Keys"]]
    return [f"{bucket}/{parameters['Key']}" if "Key" in parameters else bucket]


def ssm_resources(name: str, parameters: Parameters) -> list[str]:
    """Return the parameters or the path of a call to SSM."""
    if name == "DescribeParameters":
        return [ANY]
    names = parameters.get("Names") or [parameters.get("Name") or parameters["Path"]]
    return [parameter_arn(name) for name in names]


def scheduler_resources(name: str, parameters: Parameters) -> list[str]:
    """Return the schedule of a call to EventBridge Scheduler."""
    group = parameters["GroupName" if name == "CreateSchedule" else "groupName"]
    return [arn("scheduler", f"schedule/{group}/{parameters['Name']}")]


def sqs_resources(_name: str, parameters: Parameters) -> list[str]:
    """Return the queue of a call to SQS."""
    queue = parameters.get("QueueName") or parameters["QueueUrl"].rpartition("/")[2]
    return [arn("sqs", queue)]


def rds_resources(name: str, parameters: Parameters) -> list[str]:
    """Return the cluster of a call to RDS."""
    if name in {"DescribeAccountAttributes", "DescribeEvents"}:
        return [ANY]
    return [arn("rds", f"cluster:{parameters['DBClusterIdentifier']}")]


def ses_resources(name: str, parameters: Parameters) -> list[str]:
    """Return the identity of a call to SES; for a message, that of the test clouds' sender."""
    if name == "GetAccount":
        return [ANY]
    identity = parameters.get("EmailIdentity", SENDER)
    return [arn("ses", f"identity/{identity}")]


RESOURCES: dict[str, Callable[[str, Parameters], list[str]]] = {
    "cloudformation": lambda _, parameters: [stack_arn(parameters["StackName"])],
    "cloudtrail": lambda *_: [ANY],  # `cdk deploy` looks for the cause of a failure.
    "cloudwatch": lambda *_: [ANY],
    "ec2": lambda *_: [ANY],
    "freetier": lambda *_: [ANY],
    "lambda": lambda_resources,
    "logs": lambda _, parameters: [log_arn(parameters["logGroupName"])],
    "rds": rds_resources,
    "s3": s3_resources,
    "scheduler": scheduler_resources,
    "ses": ses_resources,
    "servicequotas": lambda _, parameters: [
        arn("servicequotas", f"{parameters['ServiceCode']}/{parameters['QuotaCode']}")
    ],
    "sqs": sqs_resources,
    "ssm": ssm_resources,
    "sts": lambda _, parameters: [parameters["RoleArn"]],
}
"""For each of IAM's prefixes, the resources of a call by its operation and parameters."""


@dataclass(frozen=True)
class Recording:
    """The calls of roles to a local cloud, and the deployed policies of each role."""

    calls: frozenset[Call]
    policies: Mapping[str, Sequence[Mapping[str, Any]]]


def load_recording(folder: Path) -> Recording:
    """Return what was recorded in a local cloud's folder."""
    calls: set[Call] = set()
    policies: dict[str, list[Mapping[str, Any]]] = {}
    for line in (folder / CALLS).read_text().splitlines():
        record = json.loads(line)
        role = role_name(record["principal"])
        if not role:
            continue  # The cloud's owner.
        calls |= set(calls_of(record))
        if record["policies"]:
            policies[role] = list(record["policies"].values())
    return Recording(frozenset(calls), policies)


def calls_of(record: Mapping[str, Any]) -> Iterator[Call]:
    """Yield a recorded request's actions on resources; none if it needs no permission."""
    service = record["service"]
    name, parameters = operation_of(record)
    action = f"{PREFIXES.get(service, service)}:{name}"
    if action in NO_PERMISSION:
        return
    action = ACTIONS.get(action, action)
    for resource in RESOURCES[action.partition(":")[0]](name, parameters):
        yield Call(record["principal"], action, resource)
    if "CopySource" in parameters:
        source = unquote(parameters["CopySource"].lstrip("/"))
        yield Call(record["principal"], "s3:GetObject", f"arn:aws:s3:::{source}")


def operation_of(record: Mapping[str, Any]) -> tuple[str, Parameters]:
    """Return the name of a request's operation, and its parameters."""
    parameters = {**record["query"], **record["parameters"]}
    if record["target"]:
        return record["target"].rpartition(".")[2], parameters
    if "Action" in parameters:
        return parameters["Action"], parameters
    if "/operation/" in record["path"]:  # Smithy's protocol with CBOR.
        return record["path"].rpartition("/")[2], parameters
    for method, pattern, query, name in routes(record["service"]):
        match = pattern.fullmatch(record["path"])
        if match and method == record["method"] and query <= record["query"].keys():
            path = {key: unquote(value) for key, value in match.groupdict().items()}
            return name, {**parameters, **path}
    raise KeyError(f"{record['service']} {record['method']} {record['path']} {record['query']}")


@cache
def routes(service: str) -> list[tuple[str, re.Pattern[str], set[str], str]]:
    """Return the operations of a REST service, those with more literal text first.

    Each has its method, the pattern of its path, the names in its query string, and its name.
    """
    model = botocore.session.get_session().get_service_model(SIGNED_AS.get(service, service))
    found = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        http = operation.http
        path, _, query = http["requestUri"].partition("?")
        pattern = re.sub(r"\\\{(\w+?)\\\+\\\}", r"(?P<\1>.+)", re.escape(path))
        pattern = re.sub(r"\\\{(\w+?)\\\}", r"(?P<\1>[^/]+)", pattern)
        names = {part.partition("=")[0] for part in query.split("&") if part}
        if operation.input_shape:
            names |= {
                member.serialization["name"]
                for key, member in operation.input_shape.members.items()
                if key in operation.input_shape.required_members
                and member.serialization.get("location") == "querystring"
            }
        if name == "CopyObject":
            continue  # PutObject with another header.
        found.append((http["method"], re.compile(pattern + "/?"), names, name))
    return sorted(found, key=lambda route: (-len(route[2]), -literal_length(route[1].pattern)))


def literal_length(pattern: str) -> int:
    """Return the number of characters outside of a pattern's groups."""
    return len(re.sub(r"\(.*?\)", "", pattern))
