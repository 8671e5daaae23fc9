"""Run the project's pinned CDK CLI and report its progress line by line."""

import os
import re
import subprocess
from collections import deque
from pathlib import Path

from djambda_cli.errors import CommandError
from djambda_cli.paths import CDK_APP, LOCAL, ROOT
from djambda_cli.steps import Progress

HOME = LOCAL / "home"  # The CDK's caches and settings: none of the caller's own.
NOISE = re.compile(r"^\s*$|^NOTICES|^\s*\d+\s+\(cli\)|aws/aws-cdk/issues")
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


def deploy(output: Path, progress: Progress) -> None:
    """Synthesize into `output` and deploy. Raises CommandError with what CloudFormation said."""
    _cdk(
        ["deploy", "--app", CDK_APP, "--output", str(output)]
        + ["--require-approval", "never", "--progress", "events"],
        progress,
        failed="The deploy failed; what was deployed before is still serving.",
    )


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
    """The part of CDK's output that says why: from the first failed resource or error on."""
    said = [line.rstrip() for line in lines if not NOISE.search(line)]
    first = next(
        (i for i, line in enumerate(said) if "_FAILED" in line or "rror" in line), len(said) - 30
    )
    return "\n".join(said[max(0, first) :][-40:])
