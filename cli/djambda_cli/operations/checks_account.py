"""Checks of the AWS account: credentials, bootstrap, concurrency and the domain's zone."""

from collections.abc import Iterator

from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import BOOTSTRAP_VERSION, Deployment
from djambda_cli.errors import CliError
from djambda_cli.operations.findings import Finding, ok, problem, warning

MIN_BOOTSTRAP_VERSION = 6
"""Required by the CDK's DefaultStackSynthesizer."""
MIN_UNRESERVED = 100
"""The concurrency that an account keeps unreserved, unless its limit is lower:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""
SMALL_CONCURRENCY = 50
CONCURRENCY_QUOTA = "L-B99A9384"


def check_credentials(deployment: Deployment) -> Iterator[Finding]:
    """Check that the credentials are accepted and belong to the configured account."""
    configured = deployment.config.aws_account_id
    try:
        with aws_errors():
            identity = deployment.client("sts").get_caller_identity()
    except CliError as error:
        yield problem("AWS rejected these credentials", f"{error.output}\n{error}".strip())
        return
    if configured and identity["Account"] != configured:
        yield problem(
            f"the credentials belong to account {identity['Account']}, but AWS_ACCOUNT_ID is "
            f"{configured}",
            "Select another profile (AWS_PROFILE), or correct AWS_ACCOUNT_ID.",
        )
    else:
        yield ok(f"account {identity['Account']}, as {identity['Arn'].rpartition(':')[2]}")
    if not configured:
        yield warning("AWS_ACCOUNT_ID is not set", "Set it to prevent deploys to other accounts.")


def check_bootstrap(deployment: Deployment) -> Iterator[Finding]:
    """Check the version of the CDK's bootstrap stack."""
    ssm = deployment.client("ssm")
    config = deployment.config
    environment = f"aws://{config.aws_account_id or 'ACCOUNT'}/{config.aws_default_region}"
    action = f'cdk bootstrap --app "" {environment}'
    try:
        version = int(ssm.get_parameter(Name=BOOTSTRAP_VERSION)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        yield warning(f"the CDK is not bootstrapped in {config.aws_default_region} yet", action)
        return
    if version < MIN_BOOTSTRAP_VERSION:
        yield problem(
            f"CDK bootstrap has version {version}, but {MIN_BOOTSTRAP_VERSION} is required", action
        )
    else:
        yield ok(f"CDK bootstrap, version {version}")


def check_concurrency(deployment: Deployment) -> Iterator[Finding]:
    """Check the account's concurrency limit, which is 10 in new accounts."""
    client = deployment.client("lambda")
    limits = client.get_account_settings()["AccountLimit"]
    try:
        reserved = client.get_function_concurrency(FunctionName=deployment.function)
    except client.exceptions.ResourceNotFoundException:
        reserved = {}
    yield rate_concurrency(
        limits["ConcurrentExecutions"],
        available=limits["UnreservedConcurrentExecutions"]
        + reserved.get("ReservedConcurrentExecutions", 0),
        requested=deployment.config.lambda_concurrency or 0,
    )


def rate_concurrency(limit: int, *, available: int, requested: int) -> Finding:
    """Compare the account's limit with the concurrency that the Django function reserves.

    `available` is unreserved, or reserved by the function already.
    """
    action = (
        "Request an increase: aws service-quotas request-service-quota-increase --service-code "
        f"lambda --quota-code {CONCURRENCY_QUOTA} --desired-value 1000"
    )
    unreserved = min(MIN_UNRESERVED, limit)
    if requested and available - requested < unreserved:
        return problem(
            f"LAMBDA_CONCURRENCY={requested} cannot be reserved: {unreserved} of the account's "
            f"{limit} concurrent executions must remain unreserved",
            f"Leave LAMBDA_CONCURRENCY empty. {action}",
        )
    if limit < SMALL_CONCURRENCY:
        return warning(
            f"{limit} concurrent executions, enough for {limit // 2} requests at a time", action
        )
    return ok(f"{limit} concurrent executions")


def check_domain(deployment: Deployment) -> Iterator[Finding]:
    """Check that the hosted zone contains the domain, and that of MAIL_FROM."""
    domain, zone_id = deployment.config.domain_name, deployment.config.hosted_zone_id
    if not domain or not zone_id:
        return
    route53 = deployment.client("route53")
    try:
        zone = route53.get_hosted_zone(Id=zone_id)["HostedZone"]["Name"].rstrip(".")
    except route53.exceptions.NoSuchHostedZone:
        yield problem(
            f"HOSTED_ZONE_ID={zone_id} is not in this account", "aws route53 list-hosted-zones"
        )
        return
    if f".{domain}".endswith(f".{zone}"):
        yield ok(f"{domain} is in the zone {zone}")
    else:
        yield problem(f"{domain} is not in the zone {zone} ({zone_id})", "Correct HOSTED_ZONE_ID.")
    sender = deployment.config.mail_domain
    creates = sender and deployment.config.creates_mail_identity
    if creates and not f".{sender}".endswith(f".{zone}"):
        yield problem(
            f"{sender}, the domain of MAIL_FROM, is not in the zone {zone} ({zone_id})",
            f"Use an address at {zone}, or verify {sender} and set MAIL_IDENTITY=existing.",
        )
