"""Translate what AWS and the way to it can report into errors that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from djambda_cli.errors import CliError

NOT_READY = {
    "ResourceConflictException",
    "ResourceNotReadyException",
    "TooManyRequestsException",
}
"""Errors of https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html that pass."""

CREDENTIALS = (
    "AWS does not know these credentials, or they have expired. Log in again (aws sso login, or "
    "new keys), then look: aws sts get-caller-identity"
)
KNOWN_ERRORS = {
    "ExpiredToken": CREDENTIALS,
    "ExpiredTokenException": CREDENTIALS,
    "InvalidClientTokenId": CREDENTIALS,
    "RequestExpired": CREDENTIALS,
    "UnrecognizedClientException": CREDENTIALS,
}
"""https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html"""


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn what AWS and the way to it can say into a CliError that says what to do."""
    try:
        yield
    except (NoCredentialsError, NoRegionError):
        raise CliError(
            "There are no AWS credentials here. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or log in with: aws sso login. For the local cloud: --local"
        ) from None
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in KNOWN_ERRORS:
            raise CliError(KNOWN_ERRORS[code], output=str(error)) from None
        if "AccessDenied" in code:
            raise CliError(
                "These credentials may not do that: the policy of their user or role lacks "
                "the action that is named above.",
                output=str(error),
            ) from None
        raise CliError(
            f"AWS refused {error.operation_name}: what it said is above.", output=str(error)
        ) from None
    except BotoCoreError as error:
        raise CliError(
            "AWS could not be asked. Look at the network, the region and the profile.",
            output=str(error),
        ) from None
