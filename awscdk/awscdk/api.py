"""API Gateway with the proxy behind it, at its own address or on a custom domain."""

from typing import cast

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from awscdk.config import Config
from awscdk.cors import share_errors
from awscdk.findings import acknowledge

STAGE = "prod"


class Api(Construct):
    """`url` is the site's URL, with a trailing slash, and `host` its host."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
        *,
        proxy: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, id)
        self.rest_api = apigateway.LambdaRestApi(
            self,
            "Endpoint",
            rest_api_name=config.name,
            handler=proxy,
            endpoint_configuration=apigateway.EndpointConfiguration(
                types=[apigateway.EndpointType.REGIONAL],
                ip_address_type=apigateway.IpAddressType.DUAL_STACK,
            ),
            disable_execute_api_endpoint=bool(config.domain_name),  # A site has one address.
            binary_media_types=["*/*"],
            integration_options=apigateway.LambdaIntegrationOptions(allow_test_invoke=False),
            cloud_watch_role=False,  # A setting of the whole account and region.
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                throttling_rate_limit=config.api_rate,
                throttling_burst_limit=config.api_burst,
            ),
        )
        self.rest_api.node.try_remove_child("Endpoint")  # An output like the stack's SiteUrl.
        share_errors(self.rest_api, config.cors_origins)
        stack = Stack.of(self)
        self.url = self.rest_api.url
        self.host = f"{self.rest_api.rest_api_id}.execute-api.{stack.region}.{stack.url_suffix}"
        if config.domain_name and config.hosted_zone_id:
            self._add_domain(config.domain_name, config.hosted_zone_id)
            self.url, self.host = f"https://{config.domain_name}/", config.domain_name
        self._acknowledge_findings()

    def _add_domain(self, domain_name: str, hosted_zone_id: str) -> None:
        # The zone may be that of a parent domain; with this name, records are the site's own.
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
            "AwsSolutions-APIG1": "Access logs need an account-wide role; the proxy logs.",
            "AwsSolutions-APIG2": "Django validates requests: the API passes everything on.",
            "AwsSolutions-APIG3": "A web ACL costs $5 a month or more; the stage is throttled.",
            "AwsSolutions-APIG4": "The site is public; Django authenticates users.",
            "AwsSolutions-APIG6": "Execution logs need an account-wide role; the proxy logs.",
            "AwsSolutions-COG4": "The site is public; Django authenticates users.",
        }.items():
            acknowledge(self, rule, reason)
