"""Aurora Serverless v2 PostgreSQL: pauses when nobody is connected, and then costs its storage.

A paused cluster wakes with the next connection, in about 15 s. It can only pause once every session
has ended; functions that Lambda has frozen keep theirs open, so the server ends idle sessions.
"""

from aws_cdk import Duration, RemovalPolicy, SecretValue
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from constructs import Construct

from awscdk.findings import acknowledge
from awscdk.network import Network

PORT = 5432
NAME = USER = "djambda"
IDLE_SESSION_MS = 60_000
IDLE_TRANSACTION_MS = 900_000  # No function runs for longer than 15 minutes.
BACKUP_DAYS = 7


class Database(Construct):
    """`cluster`; only the functions' security group reaches it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        password: SecretValue,
        max_acu: float,
        pause_minutes: int,
        ephemeral: bool,
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
            serverless_v2_max_capacity=max_acu,
            serverless_v2_auto_pause_duration=Duration.minutes(pause_minutes),
            # A password of our own: without one the CDK makes a Secrets Manager secret, $0.40 a
            # month.
            credentials=rds.Credentials.from_password(USER, password),
            default_database_name=NAME,
            port=PORT,
            vpc=network.vpc,
            vpc_subnets=network.databases,
            parameters={
                "rds.force_ssl": "1",
                "idle_session_timeout": str(IDLE_SESSION_MS),
                "idle_in_transaction_session_timeout": str(IDLE_TRANSACTION_MS),
            },
            storage_encrypted=True,
            backup=rds.BackupProps(retention=Duration.days(1 if ephemeral else BACKUP_DAYS)),
            copy_tags_to_snapshot=True,
            deletion_protection=not ephemeral,
            removal_policy=RemovalPolicy.DESTROY if ephemeral else RemovalPolicy.SNAPSHOT,
        )
        self.cluster.connections.allow_from(
            network.functions_group, ec2.Port.tcp(PORT), "The Django function"
        )
        acknowledge(
            self.cluster,
            "AwsSolutions-RDS6",
            "IAM authentication needs more memory than a cluster of 0.5 ACU has.",
        )
        acknowledge(
            self.cluster,
            "AwsSolutions-RDS11",
            "The standard port: no client of the cluster is outside its security group.",
        )
        if ephemeral:
            acknowledge(
                self.cluster,
                "AwsSolutions-RDS10",
                "EPHEMERAL=true asks for a stack that deletes without a trace.",
            )
