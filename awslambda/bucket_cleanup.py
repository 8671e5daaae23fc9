"""Empty the assets bucket of an ephemeral stack, so that CloudFormation can delete the bucket.

A custom resource that acts only when its stack is deleted; CloudFormation deletes it before the
bucket that it refers to. Other stacks lack it and keep their bucket. If a stack stops being
ephemeral, the resource is removed, but the files are kept.
"""

from functools import partial
from typing import TYPE_CHECKING

import boto3

from custom_resource import Request, ResourceFailedError, Result, handle_event
from lambda_types import Context, CustomResourceEvent

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

DELETING = {"DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"}
"""The second is the status after a failed first deploy.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html"""


def lambda_handler(event: CustomResourceEvent, context: Context) -> None:
    """Handle a custom resource with the property Bucket."""
    handle_event(event, context, partial(empty_bucket, stack=event["StackId"]))


def empty_bucket(request: Request, stack: str) -> Result:
    """Delete every object if the stack is being deleted.

    Raises `ResourceFailedError` if S3 does not delete one.
    """
    bucket = request.properties["Bucket"]
    if request.kind == "Delete" and _is_stack_being_deleted(stack):
        s3 = boto3.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            objects: list[ObjectIdentifierTypeDef] = [
                {"Key": entry["Key"]} for entry in page.get("Contents", [])
            ]
            if not objects:
                continue
            response = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            for error in response.get("Errors", []):
                raise ResourceFailedError(
                    f"s3://{bucket}/{error.get('Key')} was not deleted: {error.get('Message')}. "
                    "Delete it yourself, then delete the stack again."
                )
    return Result(f"content of {bucket}")


def _is_stack_being_deleted(stack: str) -> bool:
    """Return False if only this resource is being removed from the stack."""
    [description] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return description["StackStatus"] in DELETING
