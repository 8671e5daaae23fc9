"""GitLab for the tests: gitlab-ci-local runs the jobs of `.gitlab-ci.yml` on this machine.

It works on a repository with the working tree's files and the test project. Each job runs in a
fresh folder, as on a runner, with what GitLab provides: predefined variables, project variables and
the artifacts of the jobs that it needs. Caches are the machine's own.
"""

import csv
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cloud.checkout import COMMANDS, ROOT, copy_listed_files, replace_sample

PROGRAM = ROOT / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"
DEBIAN = "apt-get update -qq && apt-get install -qq -y --no-install-recommends rsync"
NOT_INHERITED = ("AWS_", "CDK_", "CI", "DJANGO_", "GCL_", "GITLAB_", "PYTHON", "VIRTUAL_ENV")
"""Variables that jobs get from GitLab or set themselves, not from the caller of the tests."""
CACHES = ("UV_CACHE_DIR", "npm_config_cache")
REPORT = re.compile(r"^ (PASS|WARN|FAIL) +(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A job of a pipeline, with the columns that gitlab-ci-local lists."""

    name: str
    stage: str
    when: str
    environment: str
    needs: str


@dataclass(frozen=True)
class Outcome:
    """The output of some jobs, and for each PASS, WARN (failed with `allow_failure`) or FAIL."""

    results: dict[str, str]
    output: str


@dataclass(frozen=True)
class Repository:
    """A work tree in `folder`; `url` is a remote that keeps the commit of a deleted branch."""

    folder: Path
    url: str

    def jobs(self, branch: str) -> list[Job]:
        """Return the jobs of a branch's pipeline, in the order of the stages."""
        self._check_out(branch)
        listed = self._gitlab("--list-csv").stdout
        return [
            Job(row["name"], row["stage"], row["when"], row["environment"], row["needs"])
            for row in csv.DictReader(listed.splitlines(), delimiter=";")
        ]

    def merged(self) -> dict[str, Any]:
        """Return the file with its templates expanded: global keywords and all jobs by name."""
        return dict(yaml.safe_load(self._gitlab("--preview").stdout))

    def run(self, branch: str, *jobs: str, variables: Mapping[str, str]) -> Outcome:
        """Run jobs of a branch, in parallel unless one needs the other.

        `variables` are the project's: NAME, or NAME@environment for one environment.
        """
        self._check_out(branch)
        values: dict[str, dict[str, str]] = {}
        for name, value in variables.items():
            plain_name, _, environment = name.partition("@")
            values.setdefault(plain_name, {})[environment or "*"] = value
        # JSON is YAML.
        file = self.folder / ".git" / "variables.yml"
        file.write_text(
            json.dumps(
                {name: {"type": "variable", "values": scoped} for name, scoped in values.items()}
            )
        )
        unset = [f"--unset-variable={name}" for name in CACHES]
        done = self._gitlab(
            *jobs, "--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source",
            f"--variables-file={file}", *unset, check=False,
        )  # fmt: skip
        output = done.stdout + done.stderr
        return Outcome({name: result for result, name in REPORT.findall(done.stdout)}, output)

    def report(self, job: str) -> dict[str, str]:
        """Return the variables that a job has reported to GitLab (artifacts:reports:dotenv)."""
        [reports] = (self.folder / ".gitlab-ci-local" / "artifacts").glob(
            f"{job.replace(':', '*')}/.gitlab-ci-reports/dotenv"
        )
        files = [path for path in reports.rglob("*") if path.is_file()]
        lines = [line for file in files for line in file.read_text().splitlines()]
        return dict(line.split("=", 1) for line in lines)

    def _check_out(self, branch: str) -> None:
        git(self.folder, "checkout", "--quiet", "-B", branch)

    def _gitlab(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [node(), PROGRAM, *arguments],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


def create_repository(folder: Path) -> Repository:
    """Commit the working tree's files and the test project to a repository in `folder`."""
    work, remote = folder / "work", folder / "remote.git"
    copy_listed_files(work)
    replace_sample(work)
    git(work, "init", "--quiet", "--initial-branch=main")
    git(work, "config", "user.name", "Ann")
    git(work, "config", "user.email", "ann@example.com")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "Start")
    git(work, "remote", "add", "origin", "https://gitlab.example.com/ann/site.git")
    git(work, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(work, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git(folder, "init", "--quiet", "--bare", remote.name)
    git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(work, "push", "--quiet", str(remote), "HEAD:refs/keep-around/it")
    return Repository(work, str(remote))


def git(folder: Path, *arguments: str) -> str:
    """Run git and return its output."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def node() -> str:
    """Return the Node that `make tools` installed, or the machine's."""
    path = shutil.which("node", path=os.pathsep.join([str(COMMANDS), os.environ["PATH"]]))
    assert path
    return path


def environment() -> dict[str, str]:
    """Return a runner's environment: of the checkout's tools, only uv, which is slow to install."""
    path = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != COMMANDS]
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)
    }
    return inherited | {
        "PATH": os.pathsep.join([*path, str(ROOT / ".local" / "uv" / "bin")]),
        "NO_COLOR": "1",
    }


def install_rsync() -> None:
    """Install rsync, which gitlab-ci-local copies with, unless the machine has it."""
    if shutil.which("rsync"):
        return
    assert os.geteuid() == 0 and shutil.which("apt-get"), (  # noqa: PT018
        "gitlab-ci-local needs rsync, which only root can install: apt-get install rsync"
    )
    subprocess.run(DEBIAN, shell=True, check=True, stdout=subprocess.DEVNULL)  # noqa: S602
