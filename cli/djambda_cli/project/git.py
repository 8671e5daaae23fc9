"""The commit that is checked out, which `djambda deploy` records for each version."""

import os
import subprocess

from djambda_cli.paths import CHECKOUT, ROOT

DEPLOYED_FOLDERS = ("awscdk", "awslambda", "common", "django") if CHECKOUT else (".",)


def commit_of_checkout() -> str:
    """Return the checked-out commit, followed by " changed" if files differ; "" without git."""
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--", *DEPLOYED_FOLDERS)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit} changed" if changes else commit


def _git(*arguments: str) -> str:
    # In a git hook, these variables name another repository.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    completed = subprocess.run(
        ["git", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",  # With `core.quotePath = false`, file names may not be UTF-8.
        check=True,
    )
    return completed.stdout.strip()
