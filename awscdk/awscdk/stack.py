"""The stack as a table of contents: its constructs, their permissions, its outputs."""

from aws_cdk import CfnOutput, Environment, Fn, Stack, Tags
from constructs import Construct

from awscdk.api import Api
from awscdk.config import Config
from awscdk.database import Database
from awscdk.discovery import Project
from awscdk.django_environment import django_environment
from awscdk.django_function import DjangoFunction
from awscdk.egress_proxy import EgressProxy
from awscdk.mail import Mail
from awscdk.network import Network
from awscdk.proxy import Proxy
from awscdk.release import Release
from awscdk.schedules import Schedules
from awscdk.secrets import Secrets
from awscdk.storage import Storage
from awscdk.tasks import Tasks
from awscdk.variables import ZONES
from djambda_common.names import (
    ADMIN_PATH,
    MAIL_IDENTITY,
    NONE,
    REPLACED_SETTINGS,
    SCHEDULES,
    SCHEDULES_PREFIX,
    SUPERUSER,
    TASKS_PREFIX,
)


class DjambdaStack(Stack):
    """One deployment of one project, whose functions read this snapshot of its variables."""

    def __init__(
        self, scope: Construct, config: Config, *, project: Project, variables: str = ""
    ) -> None:
        super().__init__(
            scope,
            config.name,
            env=Environment(account=config.aws_account_id, region=config.aws_default_region),
            description=f"djambda: {config.app_name}, {config.environment}",
            termination_protection=not config.ephemeral,
        )
        self._zones = config.availability_zones
        network = Network(self, "Network", egress=config.egress)
        secrets = Secrets(self, "Secrets", config)
        database = Database(
            self, "Database", config, network=network, password=secrets.database_password
        )
        schedules = project.file.schedules
        used = {SCHEDULES_PREFIX: schedules, TASKS_PREFIX: project.file.tasks}
        storage = Storage(
            self, "Storage", config, records=[prefix for prefix, uses in used.items() if uses]
        )
        django = DjangoFunction(
            self,
            "Django",
            config,
            network=network,
            project=project,
            environment=django_environment(
                config, project, database.cluster, storage.bucket, variables
            ),
        )
        if variables not in {"", NONE}:
            secrets.take_snapshot(variables, django.function, config.django_function_name)
        secrets.grant_read(django.role)
        storage.grant_use(django)
        uses_proxy = config.egress == "proxy"
        egress = [EgressProxy(self, "Egress", config, django=django)] if uses_proxy else []
        if config.mail_from:
            mail = Mail(self, "Mail", config, sender=config.mail_from)
            mail.grant_send(django)
            if mail.identity:
                self._output(MAIL_IDENTITY, mail.identity, "The identity that SES verifies")
        release = Release(
            self,
            "Release",
            config,
            django=django,
            commands=project.file.release,
            dependencies=[network, database, storage, django.role, *egress],
        )
        if schedules:
            Schedules(
                self,
                "Schedules",
                config,
                function=django.function,
                alias=release.alias,
                schedules=schedules,
            )
            names = " ".join(schedule.name for schedule in schedules)
            self._output(SCHEDULES, names, "The names of the schedules")
        if project.file.tasks:
            tasks = Tasks(
                self,
                "Tasks",
                config,
                backend=project.file.tasks,
                django=django,
                bucket=storage.bucket,
            )
            storage.empty_after(tasks)
            # The live version enqueues tasks at once, and they must run in it.
            tasks.alias.node.add_dependency(release.commands)
            release.alias.node.add_dependency(tasks)
        proxy = Proxy(self, "FrontDoor", config, django=django, alias=release.alias)
        api = Api(self, "Api", config, proxy=proxy.function)
        # The API itself needs no function, so the function can depend on it.
        django.function.add_environment("ALLOWED_HOSTS", api.host)

        self._output("SiteUrl", api.url, "The site's URL")
        self._output("FunctionName", django.function.function_name, "The Django function")
        self._output("ProxyName", proxy.function.function_name, "The proxy function")
        self._output("BucketName", storage.bucket.bucket_name, "Static and media files")
        self._output("DatabaseEndpoint", database.cluster.cluster_endpoint.hostname, "Aurora")
        self._output("SecretsPath", secrets.path, "The path of the secrets in SSM")
        self._output(SUPERUSER, release.superuser, "The superuser's login")
        self._output(ADMIN_PATH, release.admin_path, "The admin's path below the site's URL")
        self._output(REPLACED_SETTINGS, release.replaced_settings, "The settings that are replaced")
        Tags.of(self).add("Project", "djambda")
        Tags.of(self).add("App", config.app_name)
        Tags.of(self).add("Environment", config.environment)

    @property
    def availability_zones(self) -> list[str]:
        """The configured zones, or the region's first: a lookup at synth needs AWS."""
        first = [Fn.select(zone, Fn.get_azs()) for zone in range(ZONES)]
        return list(self._zones) or first

    def _output(self, key: str, value: str, description: str) -> None:
        CfnOutput(self, key, value=value, description=description)
