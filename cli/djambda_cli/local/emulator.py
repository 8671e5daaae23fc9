"""Run the AWS emulator for its owner only, with what it lacks: CloudFormation types, log pages.

The supervisor runs this file with the emulator's own interpreter, where neither djambda nor its
dependencies are installed, so it imports nothing but the emulator. The emulator's EC2 supports
these resources already; only the CloudFormation types are missing. A type that a newer emulator
supports takes precedence, so upgrading means raising the pin in `pyproject.toml`.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator_events import use_events
from emulator_functions import use_environments
from emulator_guard import Guard
from emulator_lifecycle import Lifecycle
from emulator_mail import with_capture
from emulator_messages import use_messages
from emulator_request_ids import RequestIds, with_callers_id
from emulator_schedules import create_schedule, update_schedule, use_schedules
from emulator_store import Store
from ministack import app
from ministack.core import persistence
from ministack.services import cloudwatch_logs as logs
from ministack.services import ec2, lambda_svc, ses_v2, ssm
from ministack.services.cloudformation import provisioners

type Created = tuple[str, dict[str, Any]]

FILTER_LOG_EVENTS = logs._filter_log_events
PAGE_EVENTS = 10_000
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"""

IPV6_CIDR = "2600:1f18:4000:1200::/56"  # AWS assigns a /56 from its own address space.


def create_ipv6_cidr(_logical_id: str, props: dict[str, Any], _stack: str) -> Created:
    """Create an AWS::EC2::VPCCidrBlock. Every VPC gets the same IPv6 addresses."""
    return f"vpc-cidr-assoc-{props['VpcId']}", {"Ipv6CidrBlock": IPV6_CIDR}


def create_egress_only_gateway(_logical_id: str, props: dict[str, Any], _stack: str) -> Created:
    """Create an AWS::EC2::EgressOnlyInternetGateway."""
    existing = set(ec2._egress_igws)
    ec2._create_egress_only_igw({"VpcId": [props["VpcId"]]})
    gateway = next(iter(set(ec2._egress_igws) - existing))
    return gateway, {"Id": gateway}


def delete_egress_only_gateway(physical_id: str, _props: dict[str, Any]) -> None:
    """Delete an AWS::EC2::EgressOnlyInternetGateway."""
    ec2._egress_igws.pop(physical_id, None)


def create_ingress(logical_id: str, props: dict[str, Any], _stack: str) -> Created:
    """Create an AWS::EC2::SecurityGroupIngress: a rule of a separate security group."""
    rules = provisioners._ec2_sg_permissions([props])
    ec2._security_groups[props["GroupId"]]["IpPermissions"] += rules
    return f"sgr-{logical_id}", {"Id": f"sgr-{logical_id}"}


def delete_ingress(_physical_id: str, props: dict[str, Any]) -> None:
    """Delete an AWS::EC2::SecurityGroupIngress, whose group may be deleted already."""
    group = ec2._security_groups.get(props["GroupId"], {"IpPermissions": []})
    for rule in provisioners._ec2_sg_permissions([props]):
        if rule in group["IpPermissions"]:
            group["IpPermissions"].remove(rule)


def create_vpc(logical_id: str, props: dict[str, Any], stack: str) -> Created:
    """Create an AWS::EC2::VPC with the attribute from which dual-stack subnets get addresses."""
    vpc_id, attributes = provisioners._ec2_vpc_create(logical_id, props, stack)
    return vpc_id, {**attributes, "Ipv6CidrBlocks": [IPV6_CIDR]}


def add_missing_types(handlers: dict[str, dict[str, Any]]) -> None:
    """Add the missing types to the emulator's table of CloudFormation types."""
    handlers.setdefault(
        "AWS::EC2::VPCCidrBlock", {"create": create_ipv6_cidr, "delete": lambda *_: None}
    )
    handlers.setdefault(
        "AWS::EC2::EgressOnlyInternetGateway",
        {"create": create_egress_only_gateway, "delete": delete_egress_only_gateway},
    )
    handlers.setdefault(
        "AWS::EC2::SecurityGroupIngress", {"create": create_ingress, "delete": delete_ingress}
    )
    handlers["AWS::EC2::VPC"]["create"] = create_vpc
    # Otherwise each change of the bucket counts as a possible loss of the files in it.
    provisioners._REPLACING_PROPERTIES.setdefault("AWS::S3::Bucket", ("BucketName",))
    handlers["AWS::Scheduler::Schedule"] |= {"create": create_schedule, "update": update_schedule}


class PaginatedEvents:
    """CloudWatch's FilterLogEvents with pagination; the emulator's own stops at 10,000 events.

    The token is the offset of the next page. The events of the last query are cached for its next
    pages.
    """

    def __init__(self) -> None:
        self._query: tuple[Any, ...] = ()
        self._events: list[dict[str, Any]] = []

    def __call__(self, data: dict[str, Any]) -> Any:
        """Return a response in the form that the emulator's router expects."""
        name = logs._resolve_log_group_name(data)
        if name not in logs._log_groups:
            return FILTER_LOG_EVENTS(data)  # It returns the error.
        pattern, streams = data.get("filterPattern", ""), tuple(data.get("logStreamNames") or ())
        period = data.get("startTime", 0), data.get("endTime", sys.maxsize)
        offset = int(data.get("nextToken", 0))
        query = (name, pattern, streams, period)
        if not offset or query != self._query:
            self._query, self._events = query, _matching_events(*query)
        end = offset + min(data.get("limit", PAGE_EVENTS), PAGE_EVENTS)
        response: dict[str, Any] = {"events": self._events[offset:end], "searchedLogStreams": []}
        if end < len(self._events):
            response["nextToken"] = str(end)
        return logs.json_response(response)


def _matching_events(
    group: str, pattern: str, stream_names: tuple[str, ...], period: tuple[int, int]
) -> list[dict[str, Any]]:
    matches = logs._compile_filter_pattern(pattern)
    begin, end = period
    streams = logs._log_groups[group]["streams"]
    with logs._log_events_lock:
        events = [
            {**event, "logStreamName": name}
            for name in stream_names or streams
            for event in (streams[name]["events"] if name in streams else ())
            if begin <= event["timestamp"] <= end and matches(event["message"])
        ]
    return sorted(events, key=lambda event: int(event["timestamp"]))


def with_database_password(
    read: Callable[..., dict[str, Any]], password: str
) -> Callable[..., dict[str, Any]]:
    """Return SSM's reading of a parameter, with the local Postgres's own password in its place.

    All stacks share the one Postgres, and so its password, whatever each of them has generated.
    """

    def read_parameter(parameter: dict[str, Any], with_decryption: bool = False) -> dict[str, Any]:
        output = read(parameter, with_decryption)
        if with_decryption and parameter["Name"].endswith("/database-password"):
            output["Value"] = password
        return output

    return read_parameter


if __name__ == "__main__":
    add_missing_types(provisioners._RESOURCE_HANDLERS)
    logs._filter_log_events = PaginatedEvents()
    # Not for the functions, which inherit this environment.
    ssm._param_out = with_database_password(ssm._param_out, os.environ.pop("DATABASE_PASSWORD"))
    mail = Path(os.environ.pop("MAIL_FOLDER"))
    ses_v2.handle_request = with_capture(ses_v2.handle_request, mail)
    use_environments()
    lambda_svc._execute_function_dispatch = with_callers_id(lambda_svc._execute_function_dispatch)
    store = Store(
        Path(os.environ.pop("WAITING_FILE")),
        default=persistence._json_default,
        object_hook=persistence._json_object_hook,
    )
    lifecycle = Lifecycle(use_events(store), use_messages(store), use_schedules(store))
    lifecycle.use_stop()
    app.app = Guard(lifecycle.with_start(RequestIds(app.app)), int(os.environ["GATEWAY_PORT"]))
    app.main()
