"""Aurora Serverless v2 PostgreSQL, which pauses when it is unused and then costs only its storage.

A connection resumes a paused cluster in about 15 s. The cluster can pause only after all sessions
have ended. Frozen functions keep theirs open, so the server ends idle sessions.
"""

from aws_cdk import Duration, RemovalPolicy, SecretValue
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from constructs import Construct

from awscdk.config import Config
from awscdk.database_parameters import PARAMETERS
from awscdk.findings import acknowledge
from awscdk.network import Network

PORT = 5432
NAME = USER = "djambda"
BACKUP_DAYS = 7


class Database(Construct):
    """`cluster`, which only the functions' security group can connect to."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
        *,
        network: Network,
        password: SecretValue,
    ) -> None:
        super().__init__(scope, id)
        self.cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            engine=rds.DatabaseClusterEngine.aurora_postgres(
                version=rds.AuroraPostgresEngineVersion.VER_16_13
            ),
            writer=rds.ClusterInstance.serverless_v2("Writer", publicly_accessible=False),
            serverless_v2_min_capacity=0,
            serverless_v2_max_capacity=config.db_max_acu,
            serverless_v2_auto_pause_duration=Duration.minutes(config.db_pause_minutes),
            # Without a password, the CDK creates a Secrets Manager secret for $0.40 a month.
            credentials=rds.Credentials.from_password(USER, password),
            default_database_name=NAME,
            port=PORT,
            vpc=network.vpc,
            vpc_subnets=network.databases,
            parameters=PARAMETERS,
            storage_encrypted=True,
            backup=rds.BackupProps(retention=Duration.days(1 if config.ephemeral else BACKUP_DAYS)),
            copy_tags_to_snapshot=True,
            deletion_protection=not config.ephemeral,
            removal_policy=RemovalPolicy.DESTROY if config.ephemeral else RemovalPolicy.SNAPSHOT,
        )
        self.cluster.connections.allow_from(
            network.functions_group, ec2.Port.tcp(PORT), "The Django function"
        )
        acknowledge(
            self.cluster,
            "AwsSolutions-RDS6",
            "IAM authentication needs more memory than 0.5 ACU have.",
        )
        acknowledge(
            self.cluster,
            "AwsSolutions-RDS11",
            "The standard port: no client of the cluster is outside its security group.",
        )
        if config.ephemeral:
            acknowledge(
                self.cluster,
                "AwsSolutions-RDS10",
                "EPHEMERAL=true requests a stack whose data is deleted with it.",
            )
