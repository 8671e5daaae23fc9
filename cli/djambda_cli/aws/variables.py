"""The project's variables and secrets in SSM."""

import hashlib
from typing import TYPE_CHECKING

from djambda_cli.aws.errors import aws_errors
from djambda_common.names import NONE
from djambda_common.variables import KINDS, decode, encode

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import ParameterMetadataTypeDef

ID_DIGITS = 12


def load(client: "SSMClient", path: str, kind: str) -> dict[str, str]:
    """Return the variables of a kind with their values."""
    with aws_errors():
        pages = client.get_paginator("get_parameters_by_path").paginate(
            Path=f"{path}/{kind}", WithDecryption=True
        )
        return {
            parameter["Name"].rpartition("/")[2]: decode(parameter["Value"])
            for page in pages
            for parameter in page["Parameters"]
        }


def names(client: "SSMClient", path: str, kind: str) -> list[str]:
    """Return the names of a kind's variables, without decrypting their values."""
    pages = client.get_paginator("get_parameters_by_path").paginate(Path=f"{path}/{kind}")
    with aws_errors():
        return sorted(
            parameter["Name"].rpartition("/")[2]
            for page in pages
            for parameter in page["Parameters"]
        )


def snapshot_id(client: "SSMClient", path: str) -> str:
    """Return the id of a snapshot of the current variables, `NONE` if there are none.

    It follows from their names, versions and times, because templates contain it: a hash of the
    values would allow guessing them.
    """
    variables = sorted(
        (parameter["Name"], parameter["Version"], parameter["LastModifiedDate"].timestamp())
        for parameter in _describe(client, path)
    )
    return hashlib.sha256(repr(variables).encode()).hexdigest()[:ID_DIGITS] if variables else NONE


def names_of_all(client: "SSMClient", path: str) -> set[str]:
    """Return the names of all variables and secrets, for roles that may not read them."""
    return {parameter["Name"].rpartition("/")[2] for parameter in _describe(client, path)}


def _describe(client: "SSMClient", path: str) -> "list[ParameterMetadataTypeDef]":
    with aws_errors():
        pages = client.get_paginator("describe_parameters").paginate(
            ParameterFilters=[
                {
                    "Key": "Path",
                    "Option": "OneLevel",
                    "Values": [f"{path}/{kind}" for kind in KINDS],
                }
            ]
        )
        return [parameter for page in pages for parameter in page["Parameters"]]


def store(client: "SSMClient", path: str, kind: str, name: str, value: str) -> None:
    """Store a variable, encrypted. One of the other kind with its name is deleted."""
    with aws_errors():
        client.put_parameter(
            Name=f"{path}/{kind}/{name}",
            Value=encode(value),
            Type="SecureString",
            Tier="Standard",
            Overwrite=True,
        )
    for other in KINDS:
        if other != kind:
            delete(client, path, other, name)


def delete(client: "SSMClient", path: str, kind: str, name: str) -> bool:
    """Delete a variable, and return whether it existed."""
    with aws_errors():
        deleted = client.delete_parameters(Names=[f"{path}/{kind}/{name}"])
    return bool(deleted["DeletedParameters"])
