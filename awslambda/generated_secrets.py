"""Makes up the site's passwords at its first deploy and keeps them in SSM Parameter Store.

A custom resource, and the only place where these values come into being: no template, no
repository and no function's environment ever holds one. A value that exists is never changed.
Django reads all of them from SSM; CloudFormation gets the database password, which it needs
for the cluster, and shows it to nobody.
"""

import json
import secrets
import string
from typing import Any

from custom_resource import Answer, Request, respond
from djambda_common.names import DATABASE_PASSWORD, SECRET_KEY, SUPERUSER_PASSWORD
from lambda_types import Context, CustomResourceEvent
from retry import ApiError, ask

ALPHABET = string.ascii_letters + string.digits
"""Valid everywhere: RDS takes no / @ " or blank in a password, shells and URLs mind others.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
"""

LENGTHS = {
    DATABASE_PASSWORD: 40,
    SECRET_KEY: 64,  # `check --deploy` requires 50 (security.W009).
    SUPERUSER_PASSWORD: 24,  # This one is typed.
}


def lambda_handler(event: CustomResourceEvent, context: Context) -> None:
    """A custom resource with the properties Path and Keep ("true": outlives the stack)."""
    respond(event, context, provide)


def provide(request: Request) -> Answer:
    """Make sure that each secret exists below Path; on Delete, that none does."""
    path = request.properties["Path"]
    if request.kind == "Delete":
        if request.properties.get("Keep") != "true":
            # Does not mind those that do not exist.
            _ssm("DeleteParameters", Names=[f"{path}/{name}" for name in LENGTHS])
        return Answer(path)
    values = {name: _existing_or_new(f"{path}/{name}", size) for name, size in LENGTHS.items()}
    return Answer(path, {"DatabasePassword": values[DATABASE_PASSWORD]}, no_echo=True)


def _existing_or_new(name: str, length: int) -> str:
    """The parameter's value. Of two who create it at once, SSM lets one win; both return its."""
    value = "".join(secrets.choice(ALPHABET) for _ in range(length))
    try:
        _ssm("PutParameter", Name=name, Value=value, Type="SecureString", Overwrite=False)
    except ApiError as error:
        if error.error_type != "ParameterAlreadyExists":
            raise
        return str(_ssm("GetParameter", Name=name, WithDecryption=True)["Parameter"]["Value"])
    return value


def _ssm(action: str, **parameters: object) -> Any:
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html"""
    return ask(
        "ssm",
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AmazonSSM.{action}",
        },
        body=json.dumps(parameters).encode(),
    )
