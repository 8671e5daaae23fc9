"""Turn the errors of boto3 into errors that name the fix."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from djambda_cli.errors import CliError

NOT_READY = {
    "ResourceConflictException",
    "ResourceNotReadyException",
    "TooManyRequestsException",
}
"""The temporary errors of https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""

REJECTED_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "RequestExpired",
    "UnrecognizedClientException",
}
"""https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html"""

COULD_NOT_REACH = "Could not reach AWS. Check the network, the region and the profile."
COULD_NOT_REACH_LOCAL = (
    "The local cloud does not respond. It restarts at the end of `djambda up`: wait for that. "
    "Otherwise, run `djambda up`."
)
LOCAL_ENDPOINT = "http://127.0.0.1:"


@contextmanager
def aws_errors() -> Iterator[None]:
    """Raise `CliError` instead of an error of boto3."""
    try:
        yield
    except (NoCredentialsError, NoRegionError):
        raise CliError(
            "No AWS credentials found. Log in with `aws sso login`, or set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. For the local cloud, add --local."
        ) from None
    except ClientError as error:
        raise CliError(_message(error), output=str(error)) from None
    except BotoCoreError as error:
        is_local = LOCAL_ENDPOINT in str(error)
        raise CliError(
            COULD_NOT_REACH_LOCAL if is_local else COULD_NOT_REACH, output=str(error)
        ) from None


def _message(error: ClientError) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    if code in REJECTED_CREDENTIALS:
        return (
            "AWS rejected these credentials: they are unknown or have expired. Log in again (`aws "
            "sso login`, or new access keys), then check: aws sts get-caller-identity"
        )
    if "AccessDenied" in code:
        return (
            "Access denied: the policy of this user or role does not allow the action named above."
        )
    return f"AWS returned an error for {error.operation_name}: see above."
