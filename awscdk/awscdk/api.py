"""API Gateway in front of the front door, on its own address or on a domain of yours."""

from typing import cast

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from awscdk.findings import acknowledge

STAGE = "prod"
REQUESTS_PER_SECOND = 100
BURST = 200


class Api(Construct):
    """`url`, where the site is, with a slash at the end."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        front_door: lambda_.IFunction,
        domain_name: str | None,
        hosted_zone_id: str | None,
    ) -> None:
        super().__init__(scope, id)
        self.rest_api = apigateway.LambdaRestApi(
            self,
            "Endpoint",
            rest_api_name=name,
            handler=front_door,
            endpoint_configuration=apigateway.EndpointConfiguration(
                types=[apigateway.EndpointType.REGIONAL],
                ip_address_type=apigateway.IpAddressType.DUAL_STACK,
            ),
            disable_execute_api_endpoint=bool(domain_name),  # A site has one address.
            binary_media_types=["*/*"],
            integration_options=apigateway.LambdaIntegrationOptions(allow_test_invoke=False),
            cloud_watch_role=False,  # One role for a whole account and region: not ours to set.
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                throttling_rate_limit=REQUESTS_PER_SECOND,
                throttling_burst_limit=BURST,
            ),
        )
        self.rest_api.node.try_remove_child("Endpoint")  # Its output: the stack has SiteUrl.
        self.url = self.rest_api.url
        if domain_name and hosted_zone_id:
            self._use_domain(domain_name, hosted_zone_id)
            self.url = f"https://{domain_name}/"
        self._acknowledge_findings()

    def _use_domain(self, domain_name: str, hosted_zone_id: str) -> None:
        # Its id may be that of a parent domain's zone; the name makes the records the site's own.
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=hosted_zone_id, zone_name=domain_name
        )
        domain = self.rest_api.add_domain_name(
            "Domain",
            domain_name=domain_name,
            certificate=acm.Certificate(
                self,
                "Certificate",
                domain_name=domain_name,
                validation=acm.CertificateValidation.from_dns(zone),
            ),
            endpoint_type=apigateway.EndpointType.REGIONAL,
            security_policy=apigateway.SecurityPolicy.TLS_1_2,
        )
        cast("apigateway.CfnDomainName", domain.node.default_child).add_property_override(
            "EndpointConfiguration.IpAddressType", "dualstack"
        )
        target = route53.RecordTarget.from_alias(targets.ApiGatewayDomain(domain))
        route53.ARecord(self, "Address", zone=zone, target=target)
        route53.AaaaRecord(self, "Ipv6Address", zone=zone, target=target)

    def _acknowledge_findings(self) -> None:
        for rule, reason in {
            "AwsSolutions-APIG1": "Access logs need an account-wide role; the front door logs.",
            "AwsSolutions-APIG2": "Django validates requests: the API passes everything on.",
            "AwsSolutions-APIG3": "A web ACL is $5 a month and more; the stage is throttled.",
            "AwsSolutions-APIG4": "The site is public; Django does the log-in.",
            "AwsSolutions-APIG6": "Execution logs need an account-wide role; the front door logs.",
            "AwsSolutions-COG4": "The site is public; Django does the log-in.",
        }.items():
            acknowledge(self, rule, reason)
