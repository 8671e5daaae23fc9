"""Run the project's pinned CDK CLI and report its progress line by line.

A deploy is four of its commands, so that it uses the roles that the CDK's bootstrap has made: synth
into a folder of the run's own, bootstrap where that was never done, a change set (which publishes
the code, and changes nothing yet), and the execution of just that change set.
"""

import os
import re
import subprocess
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from djambda_cli.errors import CliError
from djambda_cli.paths import CDK_APP, LOCAL, ROOT, search_path, tool
from djambda_cli.steps import Progress

HOME = LOCAL / "home"
NOISE = re.compile(r"^\s*$|^NOTICES|^\s*\d+\s+\(cli\)|aws/aws-cdk/issues|Synthesis time:")
ERROR = re.compile(r"Traceback|_FAILED|[Ee]rror|cannot be (deployed|found)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LAST_LINES = 40
EVENT = re.compile(
    r"\|\s*(?P<status>[A-Z_]+)\s*\|\s*(?P<type>AWS::\S+|Custom::\S+)\s*\|\s*(?P<id>\S+)"
)
DIFFERENCES = re.compile(r"^\W*Number of stacks with differences: (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Cdk:
    """The `cdk` command; `isolated`: without the caller's own settings, for the local cloud."""

    isolated: bool

    def synth(self, output: Path, progress: Progress) -> None:
        """Write the stack's template and assets into `output`. Raises CliError."""
        self._run(
            ["synth", "--quiet", "--app", CDK_APP, "--output", str(output)],
            progress,
            failed="The stack could not be synthesized: nothing was changed.",
        )

    def bootstrap(self, account: str, region: str, progress: Progress) -> None:
        """Create or update the CDK's own stack in the account. Raises CliError."""
        self._run(
            ["bootstrap", f"aws://{account}/{region}", "--app", ""],
            progress,
            failed="The CDK's own stack (cdk bootstrap) could not be made.",
        )

    def prepare(self, assembly: Path, stack: str, change_set: str, progress: Progress) -> None:
        """Publish the assets and create a change set. Raises CliError."""
        self._run(
            ["deploy", stack, "--app", str(assembly), "--require-approval", "never"]
            + ["--method", "prepare-change-set", "--change-set-name", change_set],
            progress,
            failed="The deploy could not be prepared: nothing was changed.",
        )

    def execute(
        self,
        assembly: Path,
        stack: str,
        change_set: str | None,
        progress: Progress,
        *,
        rollback: bool,
    ) -> None:
        """Execute a prepared change set; None for a retry of what failed, without one.

        Without `rollback`, what was made before a failure stays. Raises CliError.
        """
        method = (
            ["--method", "execute-change-set", "--change-set-name", change_set]
            if change_set
            else ["--method", "direct"]
        )
        self._run(
            ["deploy", stack, "--app", str(assembly), "--require-approval", "never"]
            + [*method, "--progress", "events", *(["--no-rollback"] * (not rollback))],
            progress,
            failed="The deploy failed.",
        )

    def diff(self, assembly: Path, stack: str, *, colour: bool) -> str:
        """What a deploy would change, for people; "" if nothing. Raises CliError."""
        # By the templates: the other way, CloudFormation makes a change set for it.
        done = subprocess.run(
            [tool("cdk"), "diff", stack, "--app", str(assembly), "--method", "template"]
            + ["--ci", "--no-notices", "--color" if colour else "--no-color"],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        counted = DIFFERENCES.search(done.stdout)
        if done.returncode or not counted:
            raise CliError(
                "What a deploy would change cannot be told.", output=done.stdout + done.stderr
            )
        _, _, differences = done.stdout[: counted.start()].rstrip().partition("\n")
        return differences if int(counted[1]) else ""

    def _run(self, arguments: list[str], progress: Progress, *, failed: str) -> None:
        lines: deque[str] = deque(maxlen=400)
        with subprocess.Popen(
            [tool("cdk"), *arguments, "--ci", "--no-color", "--no-notices"],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                for coloured in process.stdout or ():
                    line = COLOUR.sub("", coloured)
                    lines.append(line)
                    event = EVENT.search(line)
                    if event:
                        progress(f"{event['status'].replace('_', ' ').lower()} {event['id']}")
                    elif not NOISE.search(line):
                        progress(line)
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise CliError(failed, output=_failure(lines))

    def _environment(self) -> dict[str, str]:
        """The process's own. CDK_HOME: the CDK's caches stay in the checkout."""
        HOME.mkdir(parents=True, exist_ok=True)
        own = {"HOME": str(HOME)} if self.isolated else {}
        return os.environ | own | {"CDK_HOME": str(HOME / ".cdk"), "PATH": search_path()}


def _failure(lines: deque[str]) -> str:
    """The part of the CDK's output that says why: from the first line about an error on."""
    said = [line.rstrip() for line in lines if not NOISE.search(line)]
    first = next((i for i, line in enumerate(said) if ERROR.search(line)), len(said) - LAST_LINES)
    return "\n".join(said[max(0, first) :][:LAST_LINES])
