"""The AWS emulator, with what it does not have yet: the CloudFormation types of a dual-stack VPC,
and a log's pages after the first.

The keeper runs this file with the emulator's own interpreter, where neither djambda nor its
dependencies are installed, so it imports nothing but the emulator. Its EC2 already keeps records of
these things; what it lacks is CloudFormation's way to them. Each type is left to the emulator as
soon as a release has it, so a new one is tried by raising the pin in `pyproject.toml`.
"""

import sys
from typing import Any

from ministack.app import main
from ministack.services import cloudwatch_logs as logs
from ministack.services import ec2
from ministack.services.cloudformation import provisioners

type Created = tuple[str, dict[str, Any]]

FIRST_PAGE = logs._filter_log_events
PAGE = 10_000
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"""

IPV6_CIDR = "2600:1f18:4000:1200::/56"  # What AWS hands out: 56 bits of its own address space.


def create_ipv6_cidr(_logical_id: str, props: dict[str, Any], _stack: str) -> Created:
    """AWS::EC2::VPCCidrBlock: the VPC's IPv6 addresses, which are always the same here."""
    return f"vpc-cidr-assoc-{props['VpcId']}", {"Ipv6CidrBlock": IPV6_CIDR}


def create_egress_only_gateway(_logical_id: str, props: dict[str, Any], _stack: str) -> Created:
    """AWS::EC2::EgressOnlyInternetGateway."""
    known = set(ec2._egress_igws)
    ec2._create_egress_only_igw({"VpcId": [props["VpcId"]]})
    gateway = next(iter(set(ec2._egress_igws) - known))
    return gateway, {"Id": gateway}


def delete_egress_only_gateway(physical_id: str, _props: dict[str, Any]) -> None:
    """AWS::EC2::EgressOnlyInternetGateway."""
    ec2._egress_igws.pop(physical_id, None)


def create_ingress(logical_id: str, props: dict[str, Any], _stack: str) -> Created:
    """AWS::EC2::SecurityGroupIngress: a rule of a group that is another resource."""
    rules = provisioners._ec2_sg_permissions([props])
    ec2._security_groups[props["GroupId"]]["IpPermissions"] += rules
    return f"sgr-{logical_id}", {"Id": f"sgr-{logical_id}"}


def delete_ingress(_physical_id: str, props: dict[str, Any]) -> None:
    """AWS::EC2::SecurityGroupIngress; the rule may have gone with its group."""
    group = ec2._security_groups.get(props["GroupId"], {"IpPermissions": []})
    for rule in provisioners._ec2_sg_permissions([props]):
        if rule in group["IpPermissions"]:
            group["IpPermissions"].remove(rule)


def create_vpc(logical_id: str, props: dict[str, Any], stack: str) -> Created:
    """AWS::EC2::VPC with the attribute that its dual-stack subnets are cut out of."""
    vpc_id, attributes = provisioners._ec2_vpc_create(logical_id, props, stack)
    return vpc_id, {**attributes, "Ipv6CidrBlocks": [IPV6_CIDR]}


def complete(handlers: dict[str, dict[str, Any]]) -> None:
    """Add what is missing to the emulator's table of CloudFormation types."""
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


class Pages:
    """CloudWatch's FilterLogEvents in pages; the emulator's own ends with the first 10,000 events.

    The token is the number of events so far. What the last question has found is kept, for its next
    pages.
    """

    def __init__(self) -> None:
        self._question: tuple[Any, ...] = ()
        self._found: list[dict[str, Any]] = []

    def __call__(self, data: dict[str, Any]) -> Any:
        """An answer as the emulator's router takes it."""
        name = logs._resolve_log_group_name(data)
        if name not in logs._log_groups:
            return FIRST_PAGE(data)  # Which has an error for it.
        pattern, streams = data.get("filterPattern", ""), tuple(data.get("logStreamNames") or ())
        period = data.get("startTime", 0), data.get("endTime", sys.maxsize)
        offset = int(data.get("nextToken", 0))
        question = (name, pattern, streams, period)
        if not offset or question != self._question:
            self._question, self._found = question, _matching(*question)
        end = offset + min(data.get("limit", PAGE), PAGE)
        answer: dict[str, Any] = {"events": self._found[offset:end], "searchedLogStreams": []}
        if end < len(self._found):
            answer["nextToken"] = str(end)
        return logs.json_response(answer)


def _matching(
    group: str, pattern: str, wanted: tuple[str, ...], period: tuple[int, int]
) -> list[dict[str, Any]]:
    matches = logs._compile_filter_pattern(pattern)
    begin, end = period
    streams = logs._log_groups[group]["streams"]
    with logs._log_events_lock:
        found = [
            {**event, "logStreamName": name}
            for name in wanted or streams
            for event in (streams[name]["events"] if name in streams else ())
            if begin <= event["timestamp"] <= end and matches(event["message"])
        ]
    return sorted(found, key=lambda event: int(event["timestamp"]))


if __name__ == "__main__":
    complete(provisioners._RESOURCE_HANDLERS)
    logs._filter_log_events = Pages()
    main()
