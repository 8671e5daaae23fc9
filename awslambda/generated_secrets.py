"""Generate the site's passwords at the first deploy and store them in SSM Parameter Store.

A custom resource, and the only place where these values are created: templates, repositories and
functions' environments never contain them. An existing value is never changed. Django reads all of
them from SSM. CloudFormation gets the database password, which the cluster needs, and masks it.
"""

import secrets
import string

from custom_resource import Request, Result, handle_event
from djambda_common.names import DATABASE_PASSWORD, SECRET_KEY, SUPERUSER_PASSWORD
from lambda_types import Context, CustomResourceEvent
from retry import ApiError
from ssm import call_ssm, delete_parameters, parameters_below
from variables_snapshot import SNAPSHOT, handle_snapshot

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
    """Handle a custom resource with the properties Path and Keep ("true": outlives the stack).

    With the property Snapshot, it is one of `variables_snapshot`.
    """
    is_snapshot = SNAPSHOT in event["ResourceProperties"]
    handle_event(event, context, handle_snapshot if is_snapshot else ensure_secrets)


def ensure_secrets(request: Request) -> Result:
    """Create the secrets that do not exist below Path; on Delete, delete all parameters there."""
    path = request.properties["Path"]
    if request.kind == "Delete":
        if request.properties.get("Keep") != "true":
            delete_parameters([each["Name"] for each in parameters_below(path, Recursive=True)])
        return Result(path)
    values = {name: _get_or_create(f"{path}/{name}", length) for name, length in LENGTHS.items()}
    return Result(path, {"DatabasePassword": values[DATABASE_PASSWORD]}, no_echo=True)


def _get_or_create(name: str, length: int) -> str:
    """Return the parameter's value. Two concurrent calls both return the one that SSM stored."""
    value = "".join(secrets.choice(ALPHABET) for _ in range(length))
    try:
        call_ssm("PutParameter", Name=name, Value=value, Type="SecureString", Overwrite=False)
    except ApiError as error:
        if error.error_type != "ParameterAlreadyExists":
            raise
        return str(call_ssm("GetParameter", Name=name, WithDecryption=True)["Parameter"]["Value"])
    return value
