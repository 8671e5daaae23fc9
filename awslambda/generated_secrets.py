"""Generate the site's passwords at the first deploy and store them in SSM Parameter Store.

A custom resource, and the only place where these values are created: templates, repositories and
functions' environments never contain them. An existing value is never changed. Django reads all of
them from SSM. CloudFormation gets the database password, which the cluster needs, and masks it.
"""

import json
import secrets
import string
from typing import Any

from custom_resource import Request, Result, handle_event
from djambda_common.names import DATABASE_PASSWORD, SECRET_KEY, SUPERUSER_PASSWORD
from lambda_types import Context, CustomResourceEvent
from retry import ApiError, request_json

ALPHABET = string.ascii_letters + string.digits
"""Safe everywhere: RDS forbids / @ " and spaces in a password, shells and URLs other characters.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
"""

LENGTHS = {
    DATABASE_PASSWORD: 40,
    SECRET_KEY: 64,  # `check --deploy` requires 50 (security.W009).
    SUPERUSER_PASSWORD: 24,  # People type it.
}


def lambda_handler(event: CustomResourceEvent, context: Context) -> None:
    """Handle a custom resource with the properties Path and Keep ("true": outlives the stack)."""
    handle_event(event, context, ensure_secrets)


def ensure_secrets(request: Request) -> Result:
    """Create the secrets that do not exist below Path; on Delete, delete all parameters there."""
    path = request.properties["Path"]
    if request.kind == "Delete":
        if request.properties.get("Keep") != "true":
            _delete_all(path)
        return Result(path)
    values = {name: _get_or_create(f"{path}/{name}", length) for name, length in LENGTHS.items()}
    return Result(path, {"DatabasePassword": values[DATABASE_PASSWORD]}, no_echo=True)


def _get_or_create(name: str, length: int) -> str:
    """Return the parameter's value. Two concurrent calls both return the one that SSM stored."""
    value = "".join(secrets.choice(ALPHABET) for _ in range(length))
    try:
        _call_ssm("PutParameter", Name=name, Value=value, Type="SecureString", Overwrite=False)
    except ApiError as error:
        if error.error_type != "ParameterAlreadyExists":
            raise
        return str(_call_ssm("GetParameter", Name=name, WithDecryption=True)["Parameter"]["Value"])
    return value


def _delete_all(path: str) -> None:
    """Delete the parameters below the path, also the project's own, ten (a page) at a time."""
    while names := [
        parameter["Name"]
        for parameter in _call_ssm("GetParametersByPath", Path=path, Recursive=True)["Parameters"]
    ]:
        _call_ssm("DeleteParameters", Names=names)


def _call_ssm(action: str, **parameters: object) -> Any:
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html"""
    return request_json(
        "ssm",
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AmazonSSM.{action}",
        },
        body=json.dumps(parameters).encode(),
    )
