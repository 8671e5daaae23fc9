"""Read the deployed site's secrets from SSM, once per cold start.

`djambda.awslambda` starts fetching them before it imports Django, so this module must not import
it. Values never appear in messages or logs.
"""

import json
import random
import time
from functools import cache
from typing import Any

from djambda.prefetch import PrefetchedValue
from djambda_common.aws_api import call, error_of
from djambda_common.names import SECRET_PARAMETERS

TIMEOUT = 5.0
"""Seconds; SSM responds in about 0.05."""

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds, about, before a throttled request is repeated. SSM allows an account 40 reads a second:
https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm"""


@cache
def deployment_secrets(path: str) -> PrefetchedValue[dict[str, str]]:
    """Return the deployment's secrets below `path`. The first call starts to fetch them."""
    return PrefetchedValue(lambda: get_parameters(path, set(SECRET_PARAMETERS)))


def get_parameters(path: str, names: set[str]) -> dict[str, str]:
    """Return the decrypted parameters below `path`, by the rest of their name.

    Raises `ImproperlyConfigured` if SSM cannot be reached, rejects the request, or lacks one of
    `names`.
    """
    values: dict[str, str] = {}
    token: str | None = ""
    while token is not None:
        page = _get_page(path, token)
        values |= {
            entry["Name"].removeprefix(f"{path}/"): entry["Value"] for entry in page["Parameters"]
        }
        token = page.get("NextToken")
    if missing := names - values.keys():
        raise _misconfigured(
            f"SSM has no parameter {', '.join(f'{path}/{name}' for name in sorted(missing))}. "
            "Deploy again to create them."
        )
    return values


def _get_page(path: str, token: str) -> Any:
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html"""
    query = {"Path": path, "Recursive": True, "WithDecryption": True} | (
        {"NextToken": token} if token else {}
    )
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonSSM.GetParametersByPath",
    }
    body = json.dumps(query).encode()
    for pause in (*PAUSES, None):
        try:
            response = call("ssm", headers=headers, body=body, timeout=TIMEOUT)
        except OSError as error:
            raise _misconfigured(
                f"Could not read the secrets below {path}: SSM did not respond ({error}). The "
                "function reaches SSM over IPv6: check its subnets' routes and its security group."
            ) from error
        if pause is None or error_of(response)[0] != "ThrottlingException":
            break
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (spreads simultaneous starts)
    if response.status != 200:  # noqa: PLR2004
        details = json.loads(response.body)
        raise _misconfigured(
            f"Could not read the secrets below {path}: {details.get('__type')}: "
            f"{details.get('message')}. The function's role needs ssm:GetParametersByPath there."
        )
    return json.loads(response.body)


def _misconfigured(message: str) -> Exception:
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 (see the first lines)

    return ImproperlyConfigured(message)
