"""The environment variables of the Django function; `djambda.aws` converts them to settings."""

from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3

from awscdk import database
from awscdk.api import STAGE
from awscdk.config import Config
from djambda_common.names import SNAPSHOT_VARIABLE


def django_environment(
    config: Config,
    settings_module: str,
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
        "AWS_USE_DUALSTACK_ENDPOINT": "true" if config.egress == "ipv6" else "false",
        "DEBUG": "1" if config.debug else "",
        "DJANGO_SETTINGS_MODULE": settings_module,
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
        **({SNAPSHOT_VARIABLE: variables} if variables else {}),
    }
