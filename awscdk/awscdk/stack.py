"""The stack, as a table of contents: what there is, who may use what, and what comes out."""

from pathlib import Path

from aws_cdk import CfnOutput, Duration, Environment, Fn, Stack, Tags
from aws_cdk import aws_iam as iam
from constructs import Construct

from awscdk import database as db
from awscdk.api import Api
from awscdk.config import Config
from awscdk.database import Database
from awscdk.django_function import DjangoFunction
from awscdk.functions import HelperFunction
from awscdk.network import AVAILABILITY_ZONES, Network
from awscdk.project import settings_module
from awscdk.release import Release
from awscdk.secrets import Secrets
from awscdk.storage import Storage
from djambda_common.names import (
    ALIAS,
    BUCKET_CLEANUP_SUFFIX,
    RELEASE_SUFFIX,
    SECRETS_SUFFIX,
)

GATEWAY_PATIENCE = Duration.seconds(29)


class DjambdaStack(Stack):
    """One deployment of one application."""

    def __init__(self, scope: Construct, config: Config, *, project: Path, layer: Path) -> None:
        super().__init__(
            scope,
            config.name,
            env=Environment(account=config.aws_account_id, region=config.aws_default_region),
            description=f"djambda: {config.app_name}, {config.environment}",
            termination_protection=not config.ephemeral,
        )
        name, log_days = config.name, config.log_retention_days

        network = Network(self, "Network", egress=config.egress)
        secrets = Secrets(
            self,
            "Secrets",
            path=config.secrets_path,
            function_name=name + SECRETS_SUFFIX,
            log_days=log_days,
            ephemeral=config.ephemeral,
        )
        database = Database(
            self,
            "Database",
            network=network,
            password=secrets.database_password,
            max_acu=config.db_max_acu,
            pause_minutes=config.db_pause_minutes,
            ephemeral=config.ephemeral,
        )
        storage = Storage(self, "Storage", ephemeral=config.ephemeral)
        if config.ephemeral:
            storage.empty_before_deletion(
                function_name=name + BUCKET_CLEANUP_SUFFIX, log_days=log_days
            )
        django = DjangoFunction(
            self,
            "Django",
            function_name=config.django_function_name,
            network=network,
            project=project,
            layer=layer,
            architecture=config.lambda_architecture,
            memory_mb=config.lambda_memory,
            timeout=Duration.seconds(config.lambda_timeout),
            concurrency=config.lambda_concurrency,
            log_days=log_days,
            environment=self._django_environment(config, project, database, storage),
        )
        secrets.grant_read(django.role)
        storage.grant_use(django.role)
        release = Release(
            self,
            "Release",
            django=django,
            needs=[network, database, storage, django.role],
            function_name=name + RELEASE_SUFFIX,
            log_days=log_days,
        )
        front_door = HelperFunction(
            self,
            "FrontDoor",
            function_name=config.proxy_function_name,
            handler="proxy.lambda_handler",
            description="The front door: passes requests on to Django in the VPC",
            timeout=GATEWAY_PATIENCE,
            log_days=log_days,
            environment={"FUNCTION_NAME": release.alias.function_arn},
        )
        # By its name: the policy is made before the alias, and IAM has applied it by then.
        front_door.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[f"{django.function.function_arn}:{ALIAS}"],
            )
        )
        api = Api(
            self,
            "Api",
            name=name,
            front_door=front_door.function,
            domain_name=config.domain_name,
            hosted_zone_id=config.hosted_zone_id,
        )

        self._output("SiteUrl", api.url, "The site")
        self._output("FunctionName", django.function.function_name, "The Django function")
        self._output("ProxyName", front_door.function.function_name, "The front door")
        self._output("BucketName", storage.bucket.bucket_name, "Static and media files")
        self._output("DatabaseEndpoint", database.cluster.cluster_endpoint.hostname, "Aurora")
        self._output("SecretsPath", secrets.path, "Where the secrets are in SSM")
        tags = {"Project": "djambda", "App": config.app_name, "Environment": config.environment}
        for key, value in tags.items():
            Tags.of(self).add(key, value)

    @property
    def availability_zones(self) -> list[str]:
        """The region's first zones, named at deploy time: a look-up at synth would need AWS."""
        return [Fn.select(zone, Fn.get_azs()) for zone in range(AVAILABILITY_ZONES)]

    def _django_environment(
        self, config: Config, project: Path, database: Database, storage: Storage
    ) -> dict[str, str]:
        hosts = [f".execute-api.{self.region}.{self.url_suffix}", config.domain_name]
        return {
            "ALLOWED_HOSTS": ",".join(filter(None, hosts)),
            "APP_NAME": config.app_name,
            "AWS_STORAGE_BUCKET_NAME": storage.bucket.bucket_name,
            "AWS_USE_DUALSTACK_ENDPOINT": "true",
            "DEBUG": "1" if config.debug else "",
            "DJANGO_SETTINGS_MODULE": settings_module(project),
            "DJANGO_SUPERUSER_EMAIL": config.superuser_email,
            "DJANGO_SUPERUSER_USERNAME": config.django_superuser_username,
            "ENVIRONMENT": config.environment,
            "POSTGRES_DB": db.NAME,
            "POSTGRES_SERVICE_HOST": database.cluster.cluster_endpoint.hostname,
            "POSTGRES_SERVICE_PORT": str(db.PORT),
            "POSTGRES_USER": db.USER,
            "SECRETS_PATH": config.secrets_path,
        }

    def _output(self, key: str, value: str, description: str) -> None:
        CfnOutput(self, key, value=value, description=description)
