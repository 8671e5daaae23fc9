"""The assets bucket: public `static/` and `public/`, and private `media/` with signed URLs.

`public/` is empty unless the project has public media. The private `runs/` has the output of
management commands for `djambda manage`. `records` are the prefixes of the runtime's own records,
if the project uses the features that have some.
"""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

from awscdk.bucket_cleanup import add_bucket_cleanup
from awscdk.config import Config
from awscdk.django_function import DjangoFunction
from awscdk.findings import acknowledge, acknowledge_wildcard, arn_of
from djambda_common.names import (
    MEDIA_PREFIX,
    PUBLIC_PREFIX,
    RUNS_PREFIX,
    STATIC_PREFIX,
    TASKS_PREFIX,
)

STATIC, PUBLIC, MEDIA, RUNS = (
    f"{prefix}*" for prefix in (STATIC_PREFIX, PUBLIC_PREFIX, MEDIA_PREFIX, RUNS_PREFIX)
)
FILES = (STATIC, PUBLIC, MEDIA)
RETENTION = {RUNS_PREFIX: Duration.days(7), TASKS_PREFIX: Duration.days(30)}
"""The prefixes whose objects S3 deletes after some time."""


class Storage(Construct):
    """`bucket`, whose globally unique name CloudFormation generates."""

    def __init__(
        self, scope: Construct, id: str, config: Config, *, records: Sequence[str] = ()
    ) -> None:
        super().__init__(scope, id)
        self._records = records
        self.bucket = s3.Bucket(
            self,
            "Assets",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            # ACLs cannot make objects public; only the bucket policy below can.
            block_public_access=s3.BlockPublicAccess(
                block_public_acls=True,
                ignore_public_acls=True,
                block_public_policy=False,
                restrict_public_buckets=False,
            ),
            cors=[
                # Browsers load fonts and modules from other origins only with CORS.
                s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["*"])
            ],
            lifecycle_rules=[
                s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7)),
                *(
                    s3.LifecycleRule(prefix=prefix, expiration=period)
                    for prefix, period in RETENTION.items()
                    if prefix in {RUNS_PREFIX, *records}
                ),
            ],
            removal_policy=RemovalPolicy.DESTROY if config.ephemeral else RemovalPolicy.RETAIN,
        )
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="PublicFilesForEverybody",
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject"],
                resources=[self.bucket.arn_for_objects(prefix) for prefix in (STATIC, PUBLIC)],
            )
        )
        acknowledge(
            self.bucket,
            "AwsSolutions-S1",
            "Access logs are billed per GB, and Django creates the signed URLs.",
        )
        acknowledge(
            self.bucket,
            "AwsSolutions-S2",
            "Only static/* and the media that the project publishes are public.",
        )
        self._content = add_bucket_cleanup(self, config, self.bucket) if config.ephemeral else None

    def empty_after(self, *writers: IConstruct) -> None:
        """Let CloudFormation delete these constructs before it empties an ephemeral bucket.

        An object that is written afterwards prevents the deletion of the bucket and the stack.
        """
        for writer in writers:
            if self._content:
                writer.node.add_dependency(self._content)

    def grant_use(self, django: DjangoFunction) -> None:
        """Allow Django to list the bucket, to use files and records, and to write `runs/`."""
        for statement in (
            self._use_of(*FILES),
            iam.PolicyStatement(
                actions=["s3:PutObject"], resources=[self.bucket.arn_for_objects(RUNS)]
            ),
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.bucket.bucket_arn]),
        ):
            django.role.add_to_policy(statement)
        self.empty_after(django.role)
        policies: list[tuple[IConstruct, str]] = [(django.role, each) for each in (*FILES, RUNS)]
        for prefix in self._records:
            permissions = django.allow(self, f"Use {prefix.strip('/')}", self._use_of(f"{prefix}*"))
            policies.append((permissions, f"{prefix}*"))
        for policy, objects in policies:
            acknowledge_wildcard(
                policy, f"{arn_of(self.bucket)}/{objects}", "Django chooses the files' names."
            )

    def _use_of(self, *objects: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            resources=[self.bucket.arn_for_objects(each) for each in objects],
        )
