"""The identity in Amazon SES from which Django sends mail, and the permission to do so.

An identity is unique in an account and region. The stack creates it unless MAIL_IDENTITY says that
it exists, and it remains when the stack is deleted, because another deployment may use it.
Ephemeral environments use existing identities; one that creates an identity also deletes it.
"""

from aws_cdk import CfnResource, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_ses as ses
from constructs import Construct

from awscdk.config import Config
from awscdk.django_function import DjangoFunction
from awscdk.findings import acknowledge_wildcard, nag_notation
from awscdk.readers import Mailbox

SEND = ["ses:SendEmail", "ses:SendRawEmail"]
"""SES requires the second for a message in MIME, whatever the name of the API's operation."""

BOUNCES = "djambda-bounces"
"""The beginning of the MAIL FROM domain, where a region's SES receives bounces. It must have no
other use, and each region has an identity, and so records, of its own."""


class Mail(Construct):
    """`identity` is the domain or address that the stack creates in SES, None if it exists.

    A domain is verified by records in the hosted zone; for an address, SES mails a link to it.
    """

    def __init__(self, scope: Construct, id: str, config: Config, *, sender: Mailbox) -> None:
        super().__init__(scope, id)
        domain = config.mail_domain
        self.identity = (domain or sender.address) if config.creates_mail_identity else None
        self._senders = config.mail_senders
        if self.identity and domain and config.hosted_zone_id:
            self._verify_domain(domain, config.hosted_zone_id)
        elif self.identity:
            ses.EmailIdentity(self, "Identity", identity=ses.Identity.email(self.identity))
        if not config.ephemeral:
            for child in self.node.find_all():
                if isinstance(child, CfnResource):
                    child.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)

    def grant_send(self, django: DjangoFunction) -> None:
        """Allow Django to send from the sender's address, or from its domain if it is the site's.

        In the sandbox, SES also checks the permission on the recipients' identities, so the
        condition restricts the sender, and not the resource. Another sender has another policy, and
        both exist until the new version is live.
        """
        arns = [
            Stack.of(self).format_arn(service="ses", resource=kind, resource_name="*")
            for kind in ("identity", "configuration-set")
        ]
        permissions = django.allow(
            self,
            f"Send from {self._senders}",
            iam.PolicyStatement(
                actions=SEND,
                resources=arns,
                conditions={"StringLike": {"ses:FromAddress": self._senders}},
            ),
        )
        for arn in arns:
            acknowledge_wildcard(
                permissions, nag_notation(self, arn), "The condition restricts the sender."
            )

    def _verify_domain(self, domain: str, hosted_zone_id: str) -> None:
        zone = route53.PublicHostedZone.from_public_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=hosted_zone_id, zone_name=domain
        )
        ses.EmailIdentity(
            self,
            "Identity",
            identity=ses.Identity.public_hosted_zone(zone),
            mail_from_domain=f"{BOUNCES}-{Stack.of(self).region}.{domain}",
        )
