"""The environment variables of the Django function; `djambda.aws` converts them to settings."""

from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3

from awscdk import database
from awscdk.api import STAGE
from awscdk.config import Config
from awscdk.discovery import Project
from djambda_common.names import NAMES_VARIABLE, SNAPSHOT_VARIABLE

IPV6_ONLY = ("ipv6", "proxy")
"""The values of `EGRESS` with which the VPC has no IPv4 to the internet."""


def django_environment(
    config: Config,
    project: Project,
    cluster: rds.IDatabaseCluster,
    bucket: s3.IBucket,
    variables: str,
) -> dict[str, str]:
    """Return the variables that describe the deployment to `djambda.aws`."""
    return {
        "APP_NAME": config.app_name,
        "AWS_STORAGE_BUCKET_NAME": bucket.bucket_name,
        # Without IPv4, only dual-stack endpoints can be reached. With a NAT, boto3 must not refuse
        # the services that have none.
        "AWS_USE_DUALSTACK_ENDPOINT": "true" if config.egress in IPV6_ONLY else "false",
        "DEBUG": "1" if config.debug else "",
        "DJANGO_SETTINGS_MODULE": project.settings,
        "DJANGO_SUPERUSER_EMAIL": config.superuser_email,
        "DJANGO_SUPERUSER_USERNAME": config.django_superuser_username,
        "ENVIRONMENT": config.environment,
        "POSTGRES_DB": database.NAME,
        "POSTGRES_SERVICE_HOST": cluster.cluster_endpoint.hostname,
        "POSTGRES_SERVICE_PORT": str(database.PORT),
        "POSTGRES_USER": database.USER,
        "SECRETS_PATH": config.secrets_path,
        # For URLs in management commands, which have no request with the stage.
        "SITE_PREFIX": "" if config.domain_name else f"/{STAGE}",
        **config.mail_variables,
        **({NAMES_VARIABLE: " ".join(names)} if (names := project.file.variables) else {}),
        **({SNAPSHOT_VARIABLE: variables} if variables else {}),
    }
