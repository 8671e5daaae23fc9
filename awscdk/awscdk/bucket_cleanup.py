"""A custom resource that empties the bucket of an ephemeral stack when the stack is deleted.

CloudFormation deletes only empty buckets. The function is `awslambda/bucket_cleanup.py`.
"""

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from awscdk.config import Config
from awscdk.findings import acknowledge_wildcard, arn_of
from awscdk.functions import HelperFunction
from djambda_common.names import BUCKET_CLEANUP_SUFFIX

TIMEOUT = Duration.minutes(15)


def add_bucket_cleanup(scope: Construct, config: Config, bucket: s3.Bucket) -> CustomResource:
    """Return a resource with which CloudFormation deletes the bucket's objects."""
    cleanup = HelperFunction(
        scope,
        "Emptier",
        function_name=config.name + BUCKET_CLEANUP_SUFFIX,
        handler="bucket_cleanup.lambda_handler",
        description="Empties the bucket (when the stack is deleted)",
        timeout=TIMEOUT,
        log_days=config.log_retention_days,
    )
    for action, resources in {
        "s3:ListBucket": [bucket.bucket_arn],
        "s3:DeleteObject": [bucket.arn_for_objects("*")],
        "cloudformation:DescribeStacks": [Stack.of(scope).stack_id],
    }.items():
        cleanup.function.add_to_role_policy(
            iam.PolicyStatement(actions=[action], resources=resources)
        )
    acknowledge_wildcard(
        cleanup,
        f"{arn_of(bucket)}/*",
        "The bucket may have the records of features that the project does not use any more.",
    )
    content = CustomResource(
        scope,
        "Content",
        service_token=cleanup.function.function_arn,
        resource_type="Custom::EmptiedBucket",
        properties={"Bucket": bucket.bucket_name},
        service_timeout=TIMEOUT.plus(Duration.minutes(1)),
    )
    content.node.add_dependency(cleanup)  # So that its policy is deleted after the content.
    return content
