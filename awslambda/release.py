"""Release a new version of Django: migrate the database, collect the static files, or what the
project lists instead.

CloudFormation runs this custom resource after publishing the new version and before moving the
alias `live` to it. The commands run in the new version. If one fails, the deploy fails with the
command's output as the reason, and the old version remains live.
"""

import json
import re
import time
from dataclasses import replace
from typing import Any

from custom_resource import Request, ResourceFailedError, Result, handle_event, log
from djambda_common.aws_api import NotSent, OutcomeUnknown
from djambda_common.aws_signature import encoded
from djambda_common.names import (
    ADMIN_PATH,
    NONE,
    RELEASE_COMMANDS,
    REPLACED_SETTINGS,
    START_FAILURE,
    SUPERUSER,
    UNKNOWN,
)
from invocation import (
    FunctionFailed,
    FunctionTimedOut,
    InvocationError,
    NotReady,
    Refused,
    Throttled,
    invoke,
)
from lambda_types import Context, CustomResourceEvent
from retry import (
    ACCESS_DENIED,
    IAM_PAUSES,
    AccessDeniedError,
    ApiError,
    call_with_retries,
    request_json,
)

FIRST, LAST = "wait_for_database", "ensure_superuser"
"""The commands before and after those of the project."""

DESCRIBE = "describe_site"
"""The command whose output describes the released site. If it fails, the release does not."""

NOT_DESCRIBED = dict.fromkeys((SUPERUSER, ADMIN_PATH, REPLACED_SETTINGS), UNKNOWN)

MAX_ATTRIBUTE = 1500
MAX_SHORT_ATTRIBUTE = 500
"""Bytes of attributes: a response has 4,096 in all. CloudFormation shows them as outputs."""

FRAMES = re.compile(r"Traceback \(most recent call last\):(?=\n)((?:\n  .*)+)")
"""A traceback without its last line. CloudFormation shows a few lines; the log has all of it, but
not after a first deploy, with which it is deleted."""
FRAME = re.compile(r'\n  File "(.*?)", .*(?:\n    (?![\s~^]*$).*)?', re.MULTILINE)
PROJECT, LAYER = "/var/task/", "/opt/python/"
FRAMEWORK = (
    "/var/task/djambda",
    *(f"/opt/python/{name}/" for name in ("django", "psycopg", "psycopg_pool")),
)
"""The code whose frames explain no failure: the message has what the database says."""
BLANK_LINES = re.compile(r"\n{3,}")

LEAST_SECONDS = 5.0
"""With less time left, the next command is not started."""


def lambda_handler(event: CustomResourceEvent, context: Context) -> None:
    """Handle a custom resource with the properties FunctionName, Version, Alias and Commands.

    Commands is optional: the management commands of a project that does not use the default ones.
    """
    handle_event(event, context, release)


def release(request: Request) -> Result:
    """Run the commands in the version, unless it has been released before.

    The result describes the released site (`_describe`). Raises `ResourceFailedError` at the first
    command that fails, and skips the rest.
    """
    function = request.properties["FunctionName"]
    version = request.properties["Version"]
    qualified = f"{function}:{version}"
    result = Result(f"release of {function}", NOT_DESCRIBED)
    if request.kind == "Delete":
        return result
    if _is_rollback(request):
        log.info(
            "Version %s: not released again, the deploy of a newer one was rolled back", version
        )
        return result
    if _live_version(function, request.properties["Alias"]) == version:
        log.info("Version %s is already live", version)
        return replace(result, data=_describe(qualified, request.seconds_left - 1))
    for command in (FIRST, *request.properties.get("Commands", RELEASE_COMMANDS), LAST):
        log.info("Version %s: %s", version, command)
        _run(command, qualified, request.seconds_left - 1)
    return replace(result, data=_describe(qualified, request.seconds_left - 1))


def _describe(version: str, seconds: float) -> dict[str, str]:
    """Return the superuser's login, the admin's path, and the settings that do not apply."""
    try:
        lines = _run(DESCRIBE, version, seconds)["output"].splitlines()
        site = json.loads(lines[-1])
        superuser, settings = str(site["superuser"]), dict(site["replaced_settings"])
        admin = str(site["admin_path"])
    except (ResourceFailedError, LookupError, TypeError, ValueError) as error:
        log.warning("Could not describe the released site: %s", error)
        return NOT_DESCRIBED
    for name, reason in settings.items():
        log.info("Setting %s: %s", name, reason)
    return {
        SUPERUSER: superuser[:MAX_SHORT_ATTRIBUTE] or NONE,
        ADMIN_PATH: admin if 0 < len(admin) <= MAX_SHORT_ATTRIBUTE else NONE,
        REPLACED_SETTINGS: _join([f"{name}: {text}" for name, text in settings.items()]) or NONE,
    }


def _join(parts: list[str]) -> str:
    """Return as many parts as fit into an attribute, and the number of the others."""
    shown = list(parts)
    while len((text := "; ".join(shown)).encode()) > MAX_ATTRIBUTE:
        shown.pop()
    omitted = len(parts) - len(shown)
    return f"{text}; {omitted} more in the release function's log" if omitted else text


def _is_rollback(request: Request) -> bool:
    """Return whether CloudFormation rolls back a failed deploy: newer versions have higher numbers.

    The site may have been rolled back from this version before, with `djambda rollback` and its
    migrations reversed, so it must not be migrated again.
    """
    return int(request.previous.get("Version", 0)) > int(request.properties["Version"])


def _live_version(function: str, alias: str) -> str | None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_GetAlias.html"""
    path = f"/2015-03-31/functions/{encoded(function)}/aliases/{encoded(alias)}"
    try:
        description = request_json("lambda", method="GET", path=path)
    except ApiError as error:
        if error.error_type == "ResourceNotFoundException":  # The first deploy.
            return None
        raise
    return str(description["FunctionVersion"])


def _run(command: str, version: str, seconds: float) -> Any:
    """Run one management command, once, within `seconds`, and return its result."""
    if seconds < LEAST_SECONDS:
        raise ResourceFailedError(
            f"`{command}` was not started: the commands before it took all the time. "
            "They have succeeded, so deploy again."
        )
    payload = json.dumps({"manage": command}).encode()
    deadline = time.monotonic() + seconds
    try:
        return call_with_retries(
            lambda: _invoke(version, payload, deadline - time.monotonic()),
            on=(AccessDeniedError,),
            pauses=IAM_PAUSES if seconds > 2 * sum(IAM_PAUSES) else (),
        )
    except AccessDeniedError as error:
        raise ResourceFailedError(_reason(command, error.__cause__ or error)) from error
    except (InvocationError, NotSent, OutcomeUnknown) as error:
        raise ResourceFailedError(_reason(command, error)) from error


def _invoke(version: str, payload: bytes, seconds: float) -> Any:
    try:
        return invoke(version, payload, seconds=seconds, wait_for=(NotReady, Throttled))
    except Refused as error:  # Nothing ran.
        if error.error_type in ACCESS_DENIED:
            raise AccessDeniedError(error.error_type, error.message) from error
        raise
    except FunctionFailed as error:
        # The secrets could not be read yet: Django has not started, so nothing ran.
        if error.error_type == START_FAILURE and any(
            code in error.message for code in ACCESS_DENIED
        ):
            raise AccessDeniedError(error.error_type, error.message) from error
        raise


def _reason(command: str, error: BaseException) -> str:
    match error:
        case FunctionTimedOut():
            return (
                f"`{command}` was stopped at the Django function's timeout ({error.message}). "
                "Its output is in that function's log. Raise LAMBDA_TIMEOUT or split the work, "
                "then deploy again."
            )
        case FunctionFailed() if f"`{command}`" in error.message:
            return BLANK_LINES.sub("\n\n", FRAMES.sub(_last_frames, error.message))
        case FunctionFailed() if error.error_type == START_FAILURE or command == FIRST:
            cause = error.message if error.error_type == START_FAILURE else error
            return f"Django failed to start: {cause}"
        case FunctionFailed():
            return f"`{command}` failed: {error}"
        case OutcomeUnknown():
            return (
                f"`{command}` did not respond ({error}). It may still be running: wait until the "
                "Django function's log shows that it has ended, then deploy again."
            )
        case _:
            return f"`{command}` was not run: {error}"


def _last_frames(traceback: re.Match[str]) -> str:
    """Return the last frame of the project's code, and the last one of the packages it uses."""
    frames = list(FRAME.finditer(traceback[1]))
    own, used = (
        [each for each in frames if each[1].startswith(root) and not each[1].startswith(FRAMEWORK)]
        for root in (PROJECT, LAYER)
    )
    return "".join(each[0] for each in frames if each in {*own[-1:], *used[-1:]})
