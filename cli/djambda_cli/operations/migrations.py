"""The migrations in the code of a version, which a rollback does not undo."""

import json
import time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from djambda_cli.aws.errors import NOT_READY, aws_errors
from djambda_cli.errors import CliError
from djambda_cli.steps import Progress

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

START_SECONDS = 300
"""A version that has been idle for weeks gets its network back first, which takes minutes."""
PAUSE = 2.0
COMMAND = "list_migrations"


def load_migrations(
    client: "LambdaClient", function: str, version: int, progress: Progress
) -> set[str] | None:
    """Return the migrations in a version's code; None if it predates `list_migrations`.

    Raises `CliError` if the version does not start.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        with aws_errors():
            try:
                response = client.invoke(
                    FunctionName=function,
                    Qualifier=str(version),
                    Payload=json.dumps({"manage": COMMAND}),
                )
                break
            # The first invocation of an inactive version fails and activates it:
            # https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
            except ClientError as error:
                if error.response["Error"]["Code"] not in NOT_READY or time.monotonic() > deadline:
                    raise
                progress("Lambda is activating it")
        time.sleep(PAUSE)
    payload = json.loads(response["Payload"].read())
    if "FunctionError" not in response:
        return set(payload["output"].split())
    message = str(payload.get("errorMessage", ""))
    if message.startswith(f"`{COMMAND}`"):
        return None  # Django has started, and only the command failed.
    raise CliError(
        f"Version {version} does not start: see above. Nothing was changed.", output=message
    )


def load_missing_migrations(
    client: "LambdaClient", function: str, *, live: int, target: int, progress: Progress
) -> list[str] | None:
    """Return the live version's migrations that the target does not have; None if unknown.

    Raises `CliError` if the target does not start.
    """
    in_target = load_migrations(client, function, target, progress)
    try:
        in_live = load_migrations(client, function, live, progress)
    except CliError:  # A live version that does not start is a reason to roll back.
        return None
    return None if in_target is None or in_live is None else sorted(in_live - in_target)
