"""The errors of boto3, with the remedy."""

import pytest
from botocore.exceptions import EndpointConnectionError

from djambda_cli.aws.errors import aws_errors
from djambda_cli.errors import CliError


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://lambda.eu-west-1.amazonaws.com/", "Could not reach AWS"),
        ("http://127.0.0.1:4566/", "local cloud does not respond"),
    ],
)
def test_endpoint_that_does_not_respond(url: str, message: str) -> None:
    with pytest.raises(CliError, match=message) as error, aws_errors():
        raise EndpointConnectionError(endpoint_url=url)

    assert url in error.value.output
