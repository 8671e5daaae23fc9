"""Checks before the first deploy: the account's quotas, plan, roles, zones and S3 settings."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from botocore.exceptions import ClientError

from awscdk.variables import ZONES
from djambda_cli.deployment import Deployment
from djambda_cli.operations.findings import Finding, ok, problem, warning

VPC_QUOTA = ("vpc", "L-F678F1CE")
DEFAULT_VPC_QUOTA = 5
RDS_ROLE = "AWSServiceRoleForRDS"
NAT_INSTANCE = "t4g.nano"


def check_vpc_quota(deployment: Deployment) -> Iterator[Finding]:
    """Check that another VPC can be created."""
    pages = deployment.client("ec2").get_paginator("describe_vpcs").paginate()
    used = sum(len(page["Vpcs"]) for page in pages)
    service, code = VPC_QUOTA
    quotas = deployment.client("service-quotas")
    limit = DEFAULT_VPC_QUOTA
    with contextlib.suppress(ClientError):
        quota = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)
        limit = int(quota["Quota"]["Value"])
    yield rate_quota(
        "VPCs",
        used,
        limit,
        "Delete one, or request an increase: Service Quotas, VPC, VPCs per Region.",
    )


def check_cluster_quota(deployment: Deployment) -> Iterator[Finding]:
    """Check that another database cluster can be created."""
    for quota in deployment.client("rds").describe_account_attributes()["AccountQuotas"]:
        if quota["AccountQuotaName"] == "DBClusters":
            yield rate_quota(
                "database clusters",
                quota["Used"],
                quota["Max"],
                "Request an increase: Service Quotas, RDS.",
            )


def rate_quota(resources: str, used: int, limit: int, action: str) -> Finding:
    """Return whether another resource fits into the quota."""
    usage = f"{used} of {limit} {resources}"
    return ok(usage) if used < limit else problem(f"{usage}: the quota is used up", action)


def check_plan(deployment: Deployment) -> Iterator[Finding]:
    """Check that the account's plan includes Aurora."""
    # The API has a single region.
    freetier = deployment.client("freetier", region_name="us-east-1")
    try:
        plan = freetier.get_account_plan_state()
    except freetier.exceptions.ResourceNotFoundException:
        return  # Accounts older than AWS's plans have none.
    if plan["accountPlanType"] == "FREE":
        yield problem(
            "the account is on AWS's Free plan, which does not include this kind of Aurora",
            "Upgrade: Billing and Cost Management, Upgrade plan. An idle site still costs about "
            "$0.",
        )
    else:
        yield ok("paid plan")


def check_public_access(deployment: Deployment) -> Iterator[Finding]:
    """Check that the account allows the bucket policy that makes static files public."""
    account = deployment.client("sts").get_caller_identity()["Account"]
    try:
        response = deployment.client("s3control").get_public_access_block(AccountId=account)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
            raise
        response = {}
    yield rate_public_access(response.get("PublicAccessBlockConfiguration", {}), account)


def rate_public_access(blocked: Mapping[str, bool], account: str) -> Finding:
    """Return whether the account's Block Public Access permits public static files.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """
    policies = ("BlockPublicPolicy", "RestrictPublicBuckets")
    if not any(blocked.get(setting) for setting in policies):
        return ok("public bucket policies are allowed")
    kept = {name: blocked.get(name, False) for name in ("BlockPublicAcls", "IgnorePublicAcls")}
    settings = ",".join(
        f"{name}={str(value).lower()}"
        for name, value in (kept | dict.fromkeys(policies, False)).items()
    )
    return problem(
        "the account's Block Public Access rejects the bucket policy that makes static files "
        "public",
        "Other buckets keep their own settings. If an organization enforces it, ask its "
        f"administrator. To allow it: aws s3control put-public-access-block --account-id {account} "
        f"--public-access-block-configuration {settings}",
    )


def check_database_role(deployment: Deployment) -> Iterator[Finding]:
    """Check that the role exists that RDS creates with an account's first database.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAM.ServiceLinkedRoles.html
    """
    try:
        deployment.client("iam").get_role(RoleName=RDS_ROLE)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        yield warning(
            f"the account has no {RDS_ROLE}: RDS creates this role with the first cluster, which "
            "may fail because the role is not ready",
            "aws iam create-service-linked-role --aws-service-name rds.amazonaws.com\n"
            "This needs the permission iam:CreateServiceLinkedRole.",
        )
    else:
        yield ok(f"{RDS_ROLE} exists")


def check_zones(deployment: Deployment) -> Iterator[Finding]:
    """Check that the stack's availability zones exist, and have Lambda and the NAT instance."""
    ec2, config = deployment.client("ec2"), deployment.config
    zones = ec2.describe_availability_zones(
        Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
    )["AvailabilityZones"]
    pages = ec2.get_paginator("describe_subnets").paginate(
        Filters=[{"Name": "default-for-az", "Values": ["true"]}]
    )
    services = ec2.describe_vpc_endpoint_services(
        ServiceNames=[f"com.amazonaws.{config.aws_default_region}.lambda"]
    )["ServiceDetails"]
    supported = {zone for service in services for zone in service["AvailabilityZones"]}
    if config.egress == "nat-instance":
        offerings = ec2.describe_instance_type_offerings(
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": [NAT_INSTANCE]}],
        )["InstanceTypeOfferings"]
        supported &= {offering["Location"] for offering in offerings}
    yield rate_zones(
        [zone["ZoneName"] for zone in zones],
        with_default_subnet={
            subnet["AvailabilityZone"] for page in pages for subnet in page["Subnets"]
        },
        supported=supported,
        configured=config.availability_zones,
    )


def rate_zones(
    zones: Sequence[str],
    *,
    with_default_subnet: Collection[str],
    supported: Collection[str],
    configured: Sequence[str],
) -> Finding:
    """Return whether the stack can use its zones: those configured, or CloudFormation's first.

    CloudFormation lists only zones with a default subnet, unless there are none:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getavailabilityzones.html
    """
    usable = [zone for zone in sorted(zones) if zone in supported]
    action = "Use another region: this one has too few zones with the necessary services."
    if len(usable) >= ZONES:
        action = f"Set AVAILABILITY_ZONES={','.join(usable[:ZONES])}"
    if unknown := [zone for zone in configured if zone not in zones]:
        return problem(f"AVAILABILITY_ZONES: this account has no {', '.join(unknown)}", action)
    listed = [zone for zone in sorted(zones) if zone in with_default_subnet] or sorted(zones)
    chosen = configured or listed[:ZONES]
    if len(chosen) < ZONES:
        return problem(
            f"CloudFormation finds only {len(chosen)} of {ZONES} availability zones: those with a "
            "default subnet",
            action,
        )
    if lacking := [zone for zone in chosen if zone not in supported]:
        return problem(
            f"the stack would use {', '.join(lacking)}, which lacks Lambda or the instance type "
            "of the NAT instance",
            action,
        )
    return ok(f"availability zones {', '.join(chosen)}")
