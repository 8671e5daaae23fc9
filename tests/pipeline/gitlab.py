"""GitLab as the tests have it: gitlab-ci-local runs the jobs of `.gitlab-ci.yml` on this machine.

It works on a clone of its own of what the checkout has, changes included. Each job runs in a fresh
folder, as on a runner, with what GitLab would bring: predefined and project variables, and the
artifacts of the jobs that it needs. Caches are left to the machine.
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

from tests.cloud.local import COMMANDS, ROOT

PROGRAM = ROOT / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"
DEBIAN = "apt-get update -qq && apt-get install -qq -y --no-install-recommends rsync"
OWN = ("AWS_", "CDK_", "CI", "DJANGO_", "GCL_", "GITLAB_", "PYTHON", "VIRTUAL_ENV")
"""What jobs get from GitLab or make themselves, and not from who runs the tests."""
CACHES = ("UV_CACHE_DIR", "npm_config_cache")
REPORT = re.compile(r"^ (PASS|WARN|FAIL) +(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """What GitLab would make of a job: `when` is "never" if the branch does not have it."""

    name: str
    stage: str
    when: str
    environment: str
    needs: str


@dataclass(frozen=True)
class Outcome:
    """A run of some jobs: `results` has PASS, WARN (failed, as it may) or FAIL for each."""

    results: dict[str, str]
    output: str


@dataclass(frozen=True)
class Repository:
    """A clone in `folder`. At `url` is what GitLab still has when the branch is deleted."""

    folder: Path
    url: str

    def jobs(self, branch: str) -> list[Job]:
        """The jobs of a branch's pipeline, in the order of the stages."""
        self._check_out(branch)
        listed = self._gitlab("--list-csv").stdout
        return [
            Job(row["name"], row["stage"], row["when"], row["environment"], row["needs"])
            for row in csv.DictReader(listed.splitlines(), delimiter=";")
        ]

    def merged(self) -> dict[str, Any]:
        """The file with its templates filled in: what is global, and all jobs by their names."""
        return dict(yaml.safe_load(self._gitlab("--preview").stdout))

    def run(self, branch: str, *jobs: str, variables: Mapping[str, str]) -> Outcome:
        """Run jobs of a branch, those at the same time that do not need each other.

        `variables` are the project's: NAME, or NAME@environment for one environment only.
        """
        self._check_out(branch)
        values: dict[str, dict[str, str]] = {}
        for name, value in variables.items():
            name, _, environment = name.partition("@")  # noqa: PLW2901
            values.setdefault(name, {})[environment or "*"] = value
        # JSON is YAML.
        file = self.folder / ".git" / "variables.yml"
        file.write_text(
            json.dumps(
                {name: {"type": "variable", "values": each} for name, each in values.items()}
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
        """The variables that a job has reported to GitLab (artifacts:reports:dotenv)."""
        [reports] = (self.folder / ".gitlab-ci-local" / "artifacts").glob(
            f"{job.replace(':', '*')}/.gitlab-ci-reports/dotenv"
        )
        lines = [line for file in reports.iterdir() for line in file.read_text().splitlines()]
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


def clone(folder: Path) -> Repository:
    """Commit what the checkout has now, and git does not ignore, to a repository in `folder`."""
    work, kept = folder / "work", folder / "kept.git"
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, work / name)
    git(work, "init", "--quiet", "--initial-branch=main")
    git(work, "config", "user.name", "Ann")
    git(work, "config", "user.email", "ann@example.com")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "As it is")
    git(work, "remote", "add", "origin", "https://gitlab.example.com/ann/site.git")
    git(work, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(work, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git(folder, "init", "--quiet", "--bare", kept.name)
    git(kept, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(work, "push", "--quiet", str(kept), "HEAD:refs/keep-around/it")
    return Repository(work, str(kept))


def git(folder: Path, *arguments: str) -> str:
    """Run git; what it prints."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def node() -> str:
    """The Node that `make tools` found or installed."""
    found = shutil.which("node", path=os.pathsep.join([str(COMMANDS), os.environ["PATH"]]))
    assert found
    return found


def environment() -> dict[str, str]:
    """What a runner's machine brings: no tools of the checkout's but uv, which takes long."""
    path = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != COMMANDS]
    return {name: value for name, value in os.environ.items() if not name.startswith(OWN)} | {
        "PATH": os.pathsep.join([*path, str(ROOT / ".local" / "uv" / "bin")]),
        "NO_COLOR": "1",
    }


def need_rsync() -> None:
    """gitlab-ci-local copies with rsync: install it where that is possible."""
    if shutil.which("rsync"):
        return
    assert os.geteuid() == 0 and shutil.which("apt-get"), (  # noqa: PT018
        "gitlab-ci-local needs rsync, and only root can install it: apt-get install rsync"
    )
    subprocess.run(DEBIAN, shell=True, check=True, stdout=subprocess.DEVNULL)  # noqa: S602
