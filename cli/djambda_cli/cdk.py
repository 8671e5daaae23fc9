"""Run the project's pinned CDK CLI and report its progress line by line."""

import os
import re
import subprocess
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from djambda_cli.errors import CommandError
from djambda_cli.paths import CDK_APP, LOCAL, ROOT
from djambda_cli.steps import Progress

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

HOME = LOCAL / "home"  # The CDK's caches and settings: none of the caller's own.
NOISE = re.compile(r"^\s*$|^NOTICES|^\s*\d+\s+\(cli\)|aws/aws-cdk/issues")
ERROR = re.compile(r"_FAILED|[Ee]rror|cannot be deployed")
LAST_LINES = 40
EVENT = re.compile(
    r"\|\s*(?P<status>[A-Z_]+)\s*\|\s*(?P<type>AWS::\S+|Custom::\S+)\s*\|\s*(?P<id>\S+)"
)


def bootstrap(account: str, region: str, progress: Progress) -> None:
    """Create or update the CDK's own stack in the account. Raises CommandError."""
    _cdk(
        ["bootstrap", f"aws://{account}/{region}", "--app", ""],
        progress,
        failed="The CDK's own stack (cdk bootstrap) could not be made.",
    )


def deploy(stack: str, output: Path, progress: Progress) -> None:
    """Synthesize into `output` and deploy. Raises CommandError with what CloudFormation said."""
    failed = "The deploy failed; what was deployed before is still serving."
    try:
        _cdk(
            ["deploy", "--app", CDK_APP, "--output", str(output)]
            + ["--require-approval", "never", "--progress", "events"],
            progress,
            failed=failed,
        )
    except CommandError as error:
        reason = _reason_of_failed_resource(stack) if "_FAILED" in error.output else None
        raise CommandError(failed, output=reason or error.output) from None


def _cdk(arguments: list[str], progress: Progress, *, failed: str) -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    lines: deque[str] = deque(maxlen=400)
    with subprocess.Popen(
        ["cdk", *arguments, "--ci", "--no-color", "--no-notices"],
        cwd=ROOT,
        env=os.environ | {"HOME": str(HOME)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            event = EVENT.search(line)
            if event:
                progress(f"{event['status'].replace('_', ' ').lower()} {event['id']}")
            elif not NOISE.search(line):
                progress(line)
    if process.returncode:
        raise CommandError(failed, output=_failure(lines))


def _failure(lines: deque[str]) -> str:
    """The part of the CDK's output that says why: from the first line about an error on."""
    said = [line.rstrip() for line in lines if not NOISE.search(line)]
    first = next((i for i, line in enumerate(said) if ERROR.search(line)), len(said) - LAST_LINES)
    return "\n".join(said[max(0, first) :][:LAST_LINES])


def _reason_of_failed_resource(stack: str) -> str | None:
    """What CloudFormation says of the resource that failed first in the stack's last deploy."""
    cloudformation: CloudFormationClient = boto3.client("cloudformation")
    newest_first = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    began = next(
        (i for i, event in enumerate(newest_first) if _begins_deploy(event, stack)),
        len(newest_first),
    )
    for event in reversed(newest_first[:began]):
        reason = event.get("ResourceStatusReason", "")
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
            return reason
    return None


def _begins_deploy(event: "StackEventTypeDef", stack: str) -> bool:
    return event["LogicalResourceId"] == stack and event["ResourceStatus"] in {
        "CREATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
    }
