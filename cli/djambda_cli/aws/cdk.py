"""Run the pinned CDK CLI, and report its progress.

A deploy runs it up to four times, so that it uses the roles of the CDK's bootstrap: synthesize into
a folder, bootstrap if that was never done, upload the assets and create a change set (which changes
nothing yet), and execute exactly that change set.
"""

import os
import shlex
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from awscdk.product import PRODUCT
from djambda_cli.errors import CliError
from djambda_cli.paths import CDK_APP, HOME, LOCAL, search_path, tool
from djambda_cli.steps import Progress
from djambda_common.names import VARIABLES_CONTEXT

CDK_HOME = LOCAL / "home"
SHOWN_LINES = 40
"""The number of lines of a failed command that an error shows; CDK's errors are at the end."""
PLAIN = ("--ci", "--no-color", "--no-notices")
EVENT_COLUMNS = 5
"""`cdk deploy --progress events`: stack | 3/20 | time | status | type | logical id (path)"""


@dataclass(frozen=True)
class Cdk:
    """The `cdk` command; `isolated` hides the user's settings, for the local cloud."""

    isolated: bool

    def synth(self, output: Path, progress: Progress, variables: str = "") -> None:
        """Write the stack's template and assets into `output`. Raises `CliError`.

        `variables` is the id of the snapshot that the new version reads.
        """
        context = ["--context", f"{VARIABLES_CONTEXT}={variables}"] if variables else []
        self._run(
            ["synth", "--quiet", "--app", app_command(), "--output", str(output), *context],
            progress,
            failed="Could not synthesize the stack: see above. Nothing was changed.",
        )

    def bootstrap(self, account: str, region: str, progress: Progress) -> None:
        """Create or update the CDK's bootstrap stack in the account. Raises `CliError`."""
        self._run(
            ["bootstrap", f"aws://{account}/{region}", "--app", ""],
            progress,
            failed="Could not create the CDK's bootstrap stack: see above.",
        )

    def prepare(self, assembly: Path, stack: str, change_set: str, progress: Progress) -> None:
        """Upload the assets and create a change set. Raises `CliError`."""
        self._run(
            ["deploy", stack, "--app", str(assembly), "--require-approval", "never"]
            + ["--method", "prepare-change-set", "--change-set-name", change_set],
            progress,
            failed="Could not prepare the deploy: see above. Nothing was changed.",
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
        """Execute a change set, or with None retry a failed deploy, which has no changes.

        Without `rollback`, a failure keeps the resources created before it. Raises `CliError`.
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

    def diff(self, assembly: Path, stack: str, *, color: bool) -> str:
        """Return the changes of a deploy, for people; "" if there are none. Raises `CliError`."""
        completed = subprocess.run(
            # The default method creates a change set.
            [tool("cdk"), "diff", stack, "--app", str(assembly), "--method", "template", "--fail"]
            + ["--ci", "--no-notices", "--color" if color else "--no-color"],
            cwd=PRODUCT,  # Its cdk.json has the feature flags.
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode == 0:
            return ""
        # The exit code is the same for differences and for errors, but only errors use stderr.
        if completed.returncode != 1 or completed.stderr.strip():
            raise CliError(
                "Could not compute the diff: see above.",
                output=completed.stdout + completed.stderr,
            )
        return completed.stdout.strip()

    def _run(self, arguments: list[str], progress: Progress, *, failed: str) -> None:
        lines: deque[str] = deque(maxlen=SHOWN_LINES)
        with subprocess.Popen(
            [tool("cdk"), *arguments, *PLAIN],
            cwd=PRODUCT,  # Its cdk.json has the feature flags.
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                for line in process.stdout or ():
                    if line.strip():
                        lines.append(line.rstrip())
                        progress(readable(line))
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise CliError(failed, output="\n".join(lines))

    def _environment(self) -> dict[str, str]:
        """Return the environment of `cdk`, with its caches in the state folder."""
        CDK_HOME.mkdir(parents=True, exist_ok=True)
        isolation = {"HOME": str(CDK_HOME)} if self.isolated else {}
        return (
            os.environ
            | isolation
            | {
                "CDK_DISABLE_CLI_TELEMETRY": "true",
                "CDK_HOME": str(CDK_HOME / ".cdk"),
                "NODE_NO_WARNINGS": "1",
                "PATH": search_path(),
            }
        )


def app_command() -> str:
    """Return the command line of the CDK app for the current project."""
    return shlex.join([sys.executable, str(CDK_APP), *([str(HOME)] if HOME else [])])


def readable(line: str) -> str:
    """Return a line of progress: of a stack event, only the status and the logical id."""
    columns = [column.strip() for column in line.split("|")]
    if len(columns) <= EVENT_COLUMNS or not columns[5]:
        return line.strip()
    return f"{columns[3].replace('_', ' ').lower()} {columns[5].split()[0]}"
