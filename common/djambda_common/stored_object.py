"""Read an object of the assets bucket that may be missing, with boto3.

The request path does not import this: boto3 takes a while.
"""

from typing import Any

from botocore.exceptions import ClientError

MISSING = {"404", "NoSuchKey"}
"""S3's errors for an object that does not exist."""


def find_object(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """Return the response with an object, or None if it does not exist. Raises `ClientError`."""
    try:
        response: dict[str, Any] = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING:
            return None
        raise
    return response
