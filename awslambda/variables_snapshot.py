"""Keep a copy of the project's variables for the versions of the Django function that read it.

A custom resource takes the snapshot before CloudFormation publishes the version. An old one is
deleted when no version is left that reads it.
"""

from custom_resource import Request, Result, log
from djambda_common.aws_signature import encoded
from djambda_common.names import SNAPSHOT_VARIABLE
from djambda_common.variables import KINDS, SNAPSHOTS, pack
from retry import ApiError, request_json
from ssm import call_ssm, delete_parameters, parameters_below

SNAPSHOT = "Snapshot"
"""The property with the snapshot's id."""


def handle_snapshot(request: Request) -> Result:
    """Take the snapshot of the variables below Path, unless there is one with this id.

    On Delete, delete the snapshots that no version of FunctionName reads.
    """
    path, function = request.properties["Path"], request.properties["FunctionName"]
    folder = f"{path}/{SNAPSHOTS}/{request.properties[SNAPSHOT]}"
    if request.kind != "Delete":
        _take(path, folder)
    else:
        try:
            _delete_unused(f"{path}/{SNAPSHOTS}", _read_by_versions(function))
        except ApiError as error:  # The next one tries again.
            log.warning("Could not delete old snapshots: %s", error)
    return Result(folder)


def _take(path: str, folder: str) -> None:
    first = f"{folder}/1"
    if any(parameter["Name"] == first for parameter in parameters_below(folder)):
        return
    stored = {
        parameter["Name"].removeprefix(f"{path}/"): parameter["Value"]
        for kind in KINDS
        for parameter in parameters_below(f"{path}/{kind}", WithDecryption=True)
    }
    pieces = list(enumerate(pack(stored), 1))
    for number, piece in reversed(pieces):  # So that the first one exists if all do.
        call_ssm(
            "PutParameter",
            Name=f"{folder}/{number}",
            Value=piece,
            Type="SecureString",
            Tier="Standard",
            Overwrite=True,
        )


def _read_by_versions(function: str) -> set[str]:
    """Return the ids of the snapshots that versions of a function read.

    https://docs.aws.amazon.com/lambda/latest/api/API_ListVersionsByFunction.html
    """
    path = f"/2015-03-31/functions/{encoded(function)}/versions"
    ids: set[str] = set()
    marker = ""
    while True:
        query = f"?Marker={encoded(marker)}" if marker else ""
        try:
            page = request_json("lambda", method="GET", path=path + query)
        except ApiError as error:
            if error.error_type == "ResourceNotFoundException":  # Deleted with the stack.
                return set()
            raise
        environments = (version.get("Environment") or {} for version in page["Versions"])
        ids |= {each.get("Variables", {}).get(SNAPSHOT_VARIABLE, "") for each in environments}
        marker = page.get("NextMarker") or ""
        if not marker:
            return ids


def _delete_unused(snapshots: str, used: set[str]) -> None:
    names = [parameter["Name"] for parameter in parameters_below(snapshots, Recursive=True)]
    delete_parameters([name for name in names if name.split("/")[-2] not in used])
