"""The assets bucket: `static/` for everybody to read, `media/` private behind signed URLs.

And `runs/`, private too: what management commands print, for `djambda manage` to read.
"""

from aws_cdk import CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from awscdk.findings import acknowledge, acknowledge_wildcard, arn_of
from awscdk.functions import HelperFunction
from djambda_common.names import RUNS_PREFIX

STATIC = "static/*"
MEDIA = "media/*"
RUNS = f"{RUNS_PREFIX}*"
RUNS_KEPT = Duration.days(7)
EMPTYING_LIMIT = Duration.minutes(15)


class Storage(Construct):
    """`bucket`, with a name that CloudFormation makes up, as bucket names are the whole world's."""

    def __init__(self, scope: Construct, id: str, *, ephemeral: bool) -> None:
        super().__init__(scope, id)
        self.bucket = s3.Bucket(
            self,
            "Assets",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            # No object can be made public by its own ACL; only the statement below is.
            block_public_access=s3.BlockPublicAccess(
                block_public_acls=True,
                ignore_public_acls=True,
                block_public_policy=False,
                restrict_public_buckets=False,
            ),
            cors=[
                # Browsers load fonts and modules from another origin with CORS only.
                s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["*"])
            ],
            lifecycle_rules=[
                s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7)),
                s3.LifecycleRule(prefix=RUNS_PREFIX, expiration=RUNS_KEPT),
            ],
            removal_policy=RemovalPolicy.DESTROY if ephemeral else RemovalPolicy.RETAIN,
        )
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="StaticFilesForEverybody",
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject"],
                resources=[self.bucket.arn_for_objects(STATIC)],
            )
        )
        acknowledge(
            self.bucket,
            "AwsSolutions-S1",
            "Access logs bill per GB, and it is Django that hands out the signed URLs.",
        )
        acknowledge(
            self.bucket,
            "AwsSolutions-S2",
            "Only static/* is public, by a policy: it is the site's CSS, JavaScript and images.",
        )

    def empty_before_deletion(self, *, function_name: str, log_days: int) -> None:
        """Delete the bucket's content with the stack: CloudFormation deletes empty buckets only."""
        emptier = HelperFunction(
            self,
            "Emptier",
            function_name=function_name,
            handler="bucket_cleanup.lambda_handler",
            description="Empties the bucket (when the stack is deleted)",
            timeout=EMPTYING_LIMIT,
            log_days=log_days,
        )
        objects = [self.bucket.arn_for_objects(prefix) for prefix in (STATIC, MEDIA, RUNS)]
        for action, resources in {
            "s3:ListBucket": [self.bucket.bucket_arn],
            "s3:DeleteObject": objects,
            "cloudformation:DescribeStacks": [Stack.of(self).stack_id],
        }.items():
            emptier.function.add_to_role_policy(
                iam.PolicyStatement(actions=[action], resources=resources)
            )
        self._acknowledge_file_names(emptier)
        content = CustomResource(
            self,
            "Content",
            service_token=emptier.function.function_arn,
            resource_type="Custom::EmptiedBucket",
            properties={"Bucket": self.bucket.bucket_name},
            service_timeout=EMPTYING_LIMIT.plus(Duration.minutes(1)),
        )
        content.node.add_dependency(emptier)  # Its policy, too, goes after the content.

    def grant_use(self, role: iam.Role) -> None:
        """Allow what django-storages does: read, write and delete files, and look for them.

        Of runs, only writing: it is people who read them.
        """
        for statement in (
            iam.PolicyStatement(
                actions=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                resources=[self.bucket.arn_for_objects(prefix) for prefix in (STATIC, MEDIA)],
            ),
            iam.PolicyStatement(
                actions=["s3:PutObject"], resources=[self.bucket.arn_for_objects(RUNS)]
            ),
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.bucket.bucket_arn]),
        ):
            role.add_to_policy(statement)
        self._acknowledge_file_names(role)

    def _acknowledge_file_names(self, user: Construct) -> None:
        for prefix in (STATIC, MEDIA, RUNS):
            acknowledge_wildcard(
                user, f"{arn_of(self.bucket)}/{prefix}", "Files have names that Django chooses."
            )
