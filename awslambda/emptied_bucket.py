"""Empties the assets bucket of a throw-away stack, so that deleting the stack can delete it.

A custom resource that does nothing until it is deleted itself, which CloudFormation does before
it deletes the bucket that the resource refers to. Other stacks do not have it: their bucket stays.
"""

from typing import TYPE_CHECKING

import boto3

from custom_resource import Answer, Request, ResourceFailedError, respond
from lambda_types import Context, CustomResourceEvent

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef


def lambda_handler(event: CustomResourceEvent, context: Context) -> None:
    """A custom resource with the property Bucket."""
    respond(event, context, empty)


def empty(request: Request) -> Answer:
    """On Delete, delete every object. Raises `ResourceFailedError` if S3 keeps one of them."""
    bucket = request.properties["Bucket"]
    if request.kind == "Delete":
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
