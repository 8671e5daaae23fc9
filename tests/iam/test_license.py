"""The simulator's license, the AGPL, concerns these tests only: users never install it."""

import json
import subprocess

from tests.cloud.checkout import ROOT
from tests.iam.simulator import FOLDER

NAME = "cloud-copilot"


def test_nothing_else_names_the_simulator() -> None:
    listed = subprocess.run(
        ["git", "grep", "--files-with-matches", "--untracked", NAME],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    folder = str(FOLDER.relative_to(ROOT))
    assert {
        name for name in listed.splitlines() if not name.startswith((folder, "docs/decisions.md"))
    } == set()


def test_tools_of_users_are_under_permissive_licenses() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())

    licenses = [package.get("license", "") for package in lock["packages"].values()]

    assert licenses
    assert not [name for name in licenses if "GPL" in name]
