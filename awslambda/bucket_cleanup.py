"""Empties the assets bucket of an ephemeral stack, so that deleting the stack can delete it.

A custom resource that does nothing until it is deleted with its stack, which CloudFormation does
before it deletes the bucket that the resource refers to. Other stacks do not have it: their bucket
stays. A stack that becomes such a one loses the resource, and keeps the files.
"""

from functools import partial
from typing import TYPE_CHECKING

import boto3

from custom_resource import Answer, Request, ResourceFailedError, respond
from lambda_types import Context, CustomResourceEvent

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

GOING = {"DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"}
"""The second is a first deploy that failed.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html"""


def lambda_handler(event: CustomResourceEvent, context: Context) -> None:
    """A custom resource with the property Bucket."""
    respond(event, context, partial(empty, stack=event["StackId"]))


def empty(request: Request, stack: str) -> Answer:
    """When the stack is deleted, delete every object. Raises `ResourceFailedError` if one stays."""
    bucket = request.properties["Bucket"]
    if request.kind == "Delete" and _is_going(stack):
        s3 = boto3.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            objects: list[ObjectIdentifierTypeDef] = [
                {"Key": each["Key"]} for each in page.get("Contents", [])
            ]
            if not objects:
                continue
            kept = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            for error in kept.get("Errors", []):
                raise ResourceFailedError(
                    f"s3://{bucket}/{error.get('Key')} was not deleted: {error.get('Message')}. "
                    "Delete it by hand, then delete the stack again."
                )
    return Answer(f"content of {bucket}")


def _is_going(stack: str) -> bool:
    """Whether the whole stack is deleted, and not the resource taken out of it."""
    [found] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return found["StackStatus"] in GOING
