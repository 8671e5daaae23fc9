"""Read the deployed site's secrets and variables from SSM, once per cold start.

`djambda.awslambda` starts fetching them before it imports Django, so this module must not import
it. Values never appear in messages or logs.
"""

import json
import os
import random
import time
from collections.abc import Iterable
from functools import cache
from typing import Any

from djambda.prefetch import PrefetchedValue
from djambda_common.aws_api import call, error_of
from djambda_common.names import DATABASE_PASSWORD, NONE, SECRET_KEY, SNAPSHOT_VARIABLE
from djambda_common.variables import KINDS, SNAPSHOTS, count_pieces, unpack

TIMEOUT = 5.0
"""Seconds; SSM responds in about 0.05."""

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds, about, before a throttled request is repeated. SSM allows an account 40 reads a second:
https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm"""

BATCH = 10
"""The parameters that one request can name."""


@cache
def deployment_secrets(path: str) -> PrefetchedValue[dict[str, str]]:
    """Return the secrets below `path` that the settings need, and the project's variables.

    The first call starts to fetch them. Variables are as stored, their names begin with their kind.
    """
    return PrefetchedValue(lambda: _load(path, os.environ.get(SNAPSHOT_VARIABLE, "")))


def get_parameters(path: str, names: Iterable[str], optional: Iterable[str] = ()) -> dict[str, str]:
    """Return the decrypted parameters below `path`, by the rest of their names.

    Raises `ImproperlyConfigured` if SSM cannot be reached, rejects the request, or lacks one of
    `names`.
    """
    required, wanted = set(names), [*names, *optional]
    values: dict[str, str] = {}
    for start in range(0, len(wanted), BATCH):
        batch = [f"{path}/{name}" for name in wanted[start : start + BATCH]]
        found = _request(path, "GetParameters", {"Names": batch, "WithDecryption": True})
        values |= _by_name(path, found)
    if missing := required - values.keys():
        raise _misconfigured(
            f"SSM has no parameter {', '.join(f'{path}/{name}' for name in sorted(missing))}. "
            "Deploy again to create them."
        )
    return values


def _load(path: str, snapshot: str) -> dict[str, str]:
    secrets = (DATABASE_PASSWORD, SECRET_KEY)
    if snapshot == NONE:
        return get_parameters(path, secrets)
    if not snapshot:  # Deployed by `cdk deploy`, which does not know the current variables.
        current = [_get_folder(path, kind) for kind in KINDS]
        return get_parameters(path, secrets) | current[0] | current[1]
    # All that fit into the request: the number of the snapshot's parameters is not known yet.
    pieces = [f"{SNAPSHOTS}/{snapshot}/{number}" for number in range(1, BATCH - len(secrets) + 1)]
    values = get_parameters(path, [*secrets, pieces[0]], pieces[1:])
    count = count_pieces(values[pieces[0]])
    pieces += [f"{SNAPSHOTS}/{snapshot}/{number}" for number in range(len(pieces) + 1, count + 1)]
    values |= get_parameters(path, [name for name in pieces[:count] if name not in values])
    variables = unpack([values[name] for name in pieces[:count]])
    return {name: values[name] for name in secrets} | variables


def _get_folder(path: str, folder: str) -> dict[str, str]:
    """Return all parameters in a folder below `path`."""
    values: dict[str, str] = {}
    query: dict[str, Any] = {"Path": f"{path}/{folder}", "WithDecryption": True}
    while True:
        page = _request(path, "GetParametersByPath", query)
        values |= _by_name(path, page)
        if not page.get("NextToken"):
            return values
        query["NextToken"] = page["NextToken"]


def _by_name(path: str, response: Any) -> dict[str, str]:
    return {
        entry["Name"].removeprefix(f"{path}/"): entry["Value"] for entry in response["Parameters"]
    }


def _request(path: str, action: str, query: dict[str, Any]) -> Any:
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html"""
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"AmazonSSM.{action}",
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
            f"{details.get('message')}. The function's role needs ssm:{action} there."
        )
    return json.loads(response.body)


def _misconfigured(message: str) -> Exception:
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 (see the first lines)

    return ImproperlyConfigured(message)
