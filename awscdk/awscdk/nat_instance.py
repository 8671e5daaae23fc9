"""The NAT instance of `EGRESS=nat-instance`.

The CDK's own user data is one `yum install`, which runs out of memory on a small instance or
conflicts with another process that uses dnf. The deploy then succeeds with a NAT that does not
forward anything (https://github.com/aws/aws-cdk/issues/36717). `nat_instance.sh` retries it, and
CloudFormation creates the route only when the instance has reported that it works.
"""

import hashlib
from pathlib import Path
from typing import cast

from aws_cdk import CfnCreationPolicy, CfnResourceSignal, Stack
from aws_cdk import aws_ec2 as ec2

SCRIPT = Path(__file__).with_suffix(".sh").read_text()
TIMEOUT = "PT15M"


def nat_instance_provider() -> ec2.NatInstanceProviderV2:
    """Return the provider of one instance, for the VPC; then call `wait_for_nat_instances`."""
    user_data = ec2.UserData.for_linux()
    user_data.add_commands(SCRIPT)
    return ec2.NatProvider.instance_v2(
        instance_type=ec2.InstanceType.of(ec2.InstanceClass.T4G, ec2.InstanceSize.NANO),
        machine_image=ec2.MachineImage.latest_amazon_linux2023(
            cpu_type=ec2.AmazonLinuxCpuType.ARM_64
        ),
        associate_public_ip_address=True,  # The CDK's dual-stack subnets assign none.
        default_allowed_traffic=ec2.NatTrafficDirection.OUTBOUND_ONLY,
        user_data=user_data,
    )


def wait_for_nat_instances(provider: ec2.NatInstanceProviderV2) -> None:
    """Let CloudFormation wait for the instances, and replace them when the script changes."""
    for instance in provider.gateway_instances:
        resource = cast("ec2.CfnInstance", instance.node.default_child)
        instance.user_data.add_signal_on_exit_command(instance)
        resource.cfn_options.creation_policy = CfnCreationPolicy(
            resource_signal=CfnResourceSignal(count=1, timeout=TIMEOUT)
        )
        # An existing instance would not run its new user data.
        digest = hashlib.sha256(SCRIPT.encode()).hexdigest()[:8]
        resource.override_logical_id(Stack.of(instance).get_logical_id(resource) + digest)
