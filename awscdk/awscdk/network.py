"""The VPC of Django and its database.

By default it is dual-stack without a NAT gateway and without public IPv4 addresses, so that nothing
is billed by the hour: functions reach the internet over IPv6 through a free egress-only internet
gateway, and S3 through a free gateway endpoint. `EGRESS` can add a NAT for hosts without IPv6;
`EGRESS=proxy` adds nothing here (`egress_proxy.py`).
"""

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from awscdk.findings import acknowledge
from awscdk.nat_instance import nat_instance_provider, wait_for_nat_instances
from awscdk.variables import ZONES

NAT_INSTANCE_FINDINGS = {
    "EC26": "The NAT instance stores nothing: its volume is the operating system's.",
    "EC28": "Detailed monitoring costs more than the instance.",
    "EC29": "It has no state, and a deploy replaces it.",
}


class Network(Construct):
    """`vpc`, its subnets, and the Django function's security group (`functions_group`)."""

    functions = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
    databases = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)

    def __init__(self, scope: Construct, id: str, *, egress: str) -> None:
        super().__init__(scope, id)
        nat = _nat_provider(egress)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_protocol=ec2.IpProtocol.DUAL_STACK,
            max_azs=ZONES,
            create_internet_gateway=nat is not None,
            nat_gateways=1 if nat else 0,
            nat_gateway_provider=nat,
            restrict_default_security_group=False,  # It needs a Lambda; the group is unused.
            subnet_configuration=[
                _subnets("Functions", ec2.SubnetType.PRIVATE_WITH_EGRESS, 20),
                _subnets("Database", ec2.SubnetType.PRIVATE_ISOLATED, 24),
                # Last, so that the others keep their addresses if EGRESS changes.
                *([_subnets("Nat", ec2.SubnetType.PUBLIC, 28)] if nat else []),
            ],
        )
        # Dual-stack, because IPv6 traffic to S3 would bypass an IPv4 endpoint.
        self.vpc.add_gateway_endpoint(
            "S3",
            service=ec2.GatewayVpcEndpointAwsService.S3,
            subnets=[self.functions],
            ip_address_type=ec2.VpcEndpointIpAddressType.DUALSTACK,
            dns_record_ip_type=ec2.VpcEndpointDnsRecordIpType.DUALSTACK,
        )
        self.functions_group = ec2.SecurityGroup(
            self,
            "FunctionsGroup",
            vpc=self.vpc,
            description="The Django function: out to anywhere, in from nowhere",
            allow_all_outbound=True,
            allow_all_ipv6_outbound=True,
        )
        acknowledge(
            self.vpc,
            "AwsSolutions-VPC7",
            "Flow logs are billed per GB, and this VPC accepts no connections from outside.",
        )
        if isinstance(nat, ec2.NatInstanceProviderV2):
            wait_for_nat_instances(nat)
            nat.connections.allow_from(
                self.functions_group, ec2.Port.all_traffic(), "The Django function"
            )
            for rule, reason in NAT_INSTANCE_FINDINGS.items():
                acknowledge(self.vpc, f"AwsSolutions-{rule}", reason)


def _subnets(name: str, kind: ec2.SubnetType, mask: int) -> ec2.SubnetConfiguration:
    return ec2.SubnetConfiguration(name=name, subnet_type=kind, cidr_mask=mask)


def _nat_provider(egress: str) -> ec2.NatProvider | None:
    match egress:
        case "nat-gateway":
            return ec2.NatProvider.gateway()
        case "nat-instance":
            return nat_instance_provider()
        case _:
            return None
