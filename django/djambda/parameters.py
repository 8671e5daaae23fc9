"""The deployed site's secrets, read from SSM once per cold start.

`djambda.aws` has them fetched while Django is still importing, and hands out each where it is first
used. Values appear in no message and no log.
"""

import json
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from djambda_common.aws_api import call

TIMEOUT = 5.0
"""Seconds that SSM may stay silent; it answers in about 0.05."""


def get_parameters(path: str, names: set[str]) -> dict[str, str]:
    """The decrypted values of all parameters directly below `path`, by the last part of their name.

    Raises `ImproperlyConfigured` when SSM cannot be reached or refuses, or if one of `names` is not
    among them.
    """
    values: dict[str, str] = {}
    token: str | None = ""
    while token is not None:
        page = _page(path, token)
        values |= {each["Name"].rpartition("/")[2]: each["Value"] for each in page["Parameters"]}
        token = page.get("NextToken")
    if missing := names - values.keys():
        raise ImproperlyConfigured(
            f"SSM has no parameter {', '.join(f'{path}/{name}' for name in sorted(missing))}. "
            "Deploy again: the stack creates those that do not exist."
        )
    return values


def _page(path: str, token: str) -> Any:
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html"""
    asked = {"Path": path, "WithDecryption": True} | ({"NextToken": token} if token else {})
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonSSM.GetParametersByPath",
    }
    try:
        answer = call("ssm", headers=headers, body=json.dumps(asked).encode(), timeout=TIMEOUT)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The secrets below {path} were not read, since SSM did not answer: {error}. "
            "The function reaches it over IPv6: look at its subnets' routes and security group."
        ) from error
    if answer.status != 200:  # noqa: PLR2004
        reason = json.loads(answer.body)
        raise ImproperlyConfigured(
            f"The secrets below {path} were not read, since SSM refused: {reason.get('__type')}: "
            f"{reason.get('message')}. The function's role needs ssm:GetParametersByPath there."
        )
    return json.loads(answer.body)
