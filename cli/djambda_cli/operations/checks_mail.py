"""Checks of Amazon SES, for a deployment with MAIL_FROM: the account, and the sender's identity."""

from collections.abc import Iterator, Mapping
from typing import Any

from awscdk.config import Config
from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_cli.operations.findings import Finding, ok, problem, warning
from djambda_common.names import MAIL_IDENTITY

PRODUCTION_ACCESS = (
    "To leave it: aws sesv2 put-account-details --production-access-enabled --mail-type "
    "TRANSACTIONAL --website-url URL"
)
DASHBOARD = "Amazon SES in the AWS console, Account dashboard, has the reason and the next steps."


def check_mail(deployment: Deployment) -> Iterator[Finding]:
    """Check that SES sends mail from MAIL_FROM."""
    config = deployment.config
    if not config.mail_from:
        return
    account = deployment.client("sesv2").get_account()
    yield from rate_account(account, deployment.location)
    name, identity = load_identity(deployment)
    yield rate_identity(name, identity, config, created=name == created_identity(deployment))


def unverified_address(deployment: Deployment) -> str | None:
    """Return the address to which SES has mailed a link that nobody has opened yet."""
    try:
        with aws_errors():
            name, identity = load_identity(deployment)
    except CliError:
        return None
    is_pending = "@" in name and identity and not identity["VerifiedForSendingStatus"]
    return name if is_pending else None


def created_identity(deployment: Deployment) -> str:
    """Return the identity that the deployed stack has created, "" if there is none."""
    try:
        return deployment.outputs.get(MAIL_IDENTITY, "")
    except CliError:
        return ""


def load_identity(deployment: Deployment) -> tuple[str, Mapping[str, Any] | None]:
    """Return the identity with which SES sends: the address, its domain, or a parent domain.

    If there is none, return the name of the one that the deploy creates, and None.
    """
    client, config = deployment.client("sesv2"), deployment.config
    for name in identities(config):
        try:
            return name, client.get_email_identity(EmailIdentity=name)
        except client.exceptions.NotFoundException:
            continue
    return config.mail_domain or identities(config)[0], None


def identities(config: Config) -> list[str]:
    """Return the names of identities that can send from MAIL_FROM, in the order of SES."""
    if not config.mail_from:
        return []
    labels = config.mail_from.domain.split(".")
    domains = [".".join(labels[start:]) for start in range(len(labels) - 1)]
    return [config.mail_from.address, *domains]


def rate_account(account: Mapping[str, Any], location: str) -> Iterator[Finding]:
    """Yield the findings about the account's permission to send mail."""
    status, quota = account.get("EnforcementStatus"), account.get("SendQuota", {})
    if status == "SHUTDOWN" or not account.get("SendingEnabled", True):
        yield problem(f"SES has paused the account's sending {location}", DASHBOARD)
    elif status == "PROBATION":
        yield warning(
            f"SES is reviewing the account {location} because of bounces or complaints", DASHBOARD
        )
    limit = f"{quota.get('Max24HourSend', 0):,.0f} messages a day"
    if account.get("ProductionAccessEnabled"):
        yield ok(f"SES sends {limit}")
    else:
        yield warning(
            f"the account is in the SES sandbox {location}: it can send {limit}, only to verified "
            "addresses",
            PRODUCTION_ACCESS,
        )


def rate_identity(
    name: str, identity: Mapping[str, Any] | None, config: Config, *, created: bool
) -> Finding:
    """Return the finding about the sender's identity. `created`: the deployed stack has done so."""
    if identity is None:
        return _rate_missing(name, exists=not config.creates_mail_identity, created=created)
    own = config.mail_domain or (config.mail_from and config.mail_from.address)
    if name == own and config.creates_mail_identity and not created:
        return problem(
            f"the identity {name} exists already, so the deploy cannot create it",
            "To use it, set MAIL_IDENTITY=existing.",
        )
    if identity["VerifiedForSendingStatus"]:
        return ok(f"mail from {name} is verified")
    if "@" in name:
        return problem(
            f"{name} is not verified", f"Open the link that AWS mails to {name}, within 24 hours."
        )
    return problem(
        f"the domain {name} is not verified",
        "SES looks for its records for 72 hours. They must be in the zone to which the domain is "
        f"delegated: dig NS {name}",
    )


def _rate_missing(name: str, *, exists: bool, created: bool) -> Finding:
    create = f"aws sesv2 create-email-identity --email-identity {name}"
    if exists:
        return problem(
            f"SES has no identity for {name}, which this deployment does not create",
            f"Set MAIL_IDENTITY=create, or create it yourself: {create}",
        )
    if created:
        return problem(
            f"the identity {name} was deleted", f"Set MAIL_IDENTITY=existing, then: {create}"
        )
    return warning(f"SES has no identity for {name} yet", "The next deploy creates it.")
