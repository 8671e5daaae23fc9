"""The release: what a new version of Django needs before anybody may see it.

CloudFormation runs this custom resource after publishing the new version and before moving the
alias `live` to it. It has that version itself migrate the database and collect the static
files. Where a command fails, so does the deploy, with the command's output as the reason; the
alias stays, and the old version goes on serving.
"""

import json
import re

from custom_resource import Answer, Request, ResourceFailedError, log, respond
from djambda_common.aws_api import NotSent, OutcomeUnknown, encoded
from invocation import (
    FunctionFailed,
    FunctionTimedOut,
    InvocationError,
    NotReady,
    Throttled,
    invoke,
)
from lambda_types import Context, CustomResourceEvent
from retry import ApiError, ask

COMMANDS = (
    "wait_for_database",
    "migrate --no-input",
    "collectstatic --no-input",
    "ensure_superuser",
)

FRAMES = re.compile(r"Traceback \(most recent call last\):(?=\n)(?:\n  .*)+")
"""A traceback but for its last line. CloudFormation has room for a few lines; the log has all."""
BLANK_LINES = re.compile(r"\n{3,}")

LEAST_SECONDS = 5.0
"""With less than that left, the next command is not started."""


def lambda_handler(event: CustomResourceEvent, context: Context) -> None:
    """A custom resource with the properties FunctionName, Version and Alias."""
    respond(event, context, release)


def release(request: Request) -> Answer:
    """Run `COMMANDS` in the version, unless it has been released before.

    Raises `ResourceFailedError` for the first command that fails; the rest are not run.
    """
    function = request.properties["FunctionName"]
    version = request.properties["Version"]
    released = Answer(f"release of {function}")
    if request.kind == "Delete":
        return released
    if _goes_back(request):
        log.info("version %s comes back, as the deploy of a newer one failed", version)
        return released
    if _live_version(function, request.properties["Alias"]) == version:
        log.info("version %s is live already: nothing to do", version)
        return released
    for command in COMMANDS:
        log.info("version %s: %s", version, command)
        _run(command, f"{function}:{version}", request.seconds_left - 1)
    return released


def _goes_back(request: Request) -> bool:
    """Whether CloudFormation undoes a failed deploy: later versions have higher numbers.

    The version before may be one that people have left with `djambda rollback`, with its migrations
    undone: it must not be migrated again.
    """
    return int(request.previous.get("Version", 0)) > int(request.properties["Version"])


def _live_version(function: str, alias: str) -> str | None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_GetAlias.html"""
    path = f"/2015-03-31/functions/{encoded(function)}/aliases/{encoded(alias)}"
    try:
        answer = ask("lambda", method="GET", path=path)
    except ApiError as error:
        if error.error_type == "ResourceNotFoundException":  # The first deploy.
            return None
        raise
    return str(answer["FunctionVersion"])


def _run(command: str, version: str, seconds: float) -> None:
    """Run one management command, once. `seconds` are those left for it."""
    if seconds < LEAST_SECONDS:
        raise ResourceFailedError(
            f"`{command}` was not started: the commands before it took all the time there is. "
            "What they did is done; deploy again."
        )
    payload = json.dumps({"manage": command}).encode()
    try:
        invoke(version, payload, seconds=seconds, wait_for=(NotReady, Throttled))
    except (InvocationError, NotSent, OutcomeUnknown) as error:
        raise ResourceFailedError(_reason(command, error)) from error


def _reason(command: str, error: Exception) -> str:
    match error:
        case FunctionTimedOut():
            return (
                f"`{command}` was stopped at the Django function's time limit ({error.message}). "
                "Its output is in that function's log. Split the work, then deploy again."
            )
        case FunctionFailed() if f"`{command}`" in error.message:
            said = FRAMES.sub("", error.message)  # Has the exit code and the output.
            return BLANK_LINES.sub("\n\n", said)
        case FunctionFailed() if command == COMMANDS[0]:  # Which does next to nothing.
            return (
                f"Django does not start: {error}\nOn your machine it should say where: python "
                "django/manage.py check"
            )
        case FunctionFailed():
            return f"`{command}` failed: {error}"
        case OutcomeUnknown():
            return (
                f"`{command}` gave no answer ({error}). It may still be running: wait until the "
                "Django function's log shows its end, then deploy again."
            )
        case _:
            return f"`{command}` was not run: {error}"
