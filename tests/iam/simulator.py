"""IAM's decisions, from the simulator @cloud-copilot/iam-simulate.

It evaluates policies as AWS documents it, and rejects actions, resources and condition keys that do
not exist. It is installed on first use, next to this file.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cloud.checkout import COMMANDS
from tests.iam.calls import ACCOUNT, Call

FOLDER = Path(__file__).parent
ALLOWED, DENIED, REFUSED = "Allowed", "ImplicitlyDenied", "ExplicitlyDenied"

type Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """A request, and the policies that apply to it.

    `principal` is an ARN, the name of a service, or "" for a request without a signature.
    """

    principal: str
    action: str
    resource: str
    policies: Sequence[Policy] = ()
    resource_policy: Policy | None = None
    context: Mapping[str, str] = field(default_factory=dict)


def decide(requests: Sequence[Request]) -> list[str]:
    """Return `ALLOWED`, `DENIED`, `REFUSED` (by a Deny), or the reason why a request is invalid."""
    _install()
    done = subprocess.run(
        [_node(), FOLDER / "simulate.mjs"],
        input=json.dumps([_simulation(request) for request in requests]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: list[str] = json.loads(done.stdout)
    return results


def refused(calls: Iterable[Call], *policies: Policy) -> dict[Call, str]:
    """Return the calls that the policies of the caller's role do not allow, with the decisions."""
    calls = list(calls)
    decisions = decide(
        [Request(call.principal, call.action, call.resource, policies) for call in calls]
    )
    return {
        call: decision
        for call, decision in zip(calls, decisions, strict=True)
        if decision != ALLOWED
    }


def _simulation(request: Request) -> dict[str, Any]:
    simulation = {
        "request": {
            "principal": request.principal,
            "action": request.action,
            "resource": {"resource": request.resource, "accountId": ACCOUNT},
            "contextVariables": request.context,
        },
        "identityPolicies": [
            {"name": str(number), "policy": policy}
            for number, policy in enumerate(request.policies)
        ],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if request.resource_policy:
        simulation["resourcePolicy"] = request.resource_policy
    return simulation


def _install() -> None:
    """Install the locked packages, unless they are there."""
    installed = FOLDER / "node_modules" / ".package-lock.json"
    lock = FOLDER / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime > lock.stat().st_mtime:
        return
    npm = _node().resolve().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    subprocess.run(
        [*([_node(), npm] if npm.exists() else ["npm"]), "ci"]
        + ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=FOLDER,
        env=os.environ | {"PATH": os.pathsep.join([str(COMMANDS), os.environ["PATH"]])},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _node() -> Path:
    """Return the Node that `make tools` installed, or the machine's."""
    path = shutil.which("node", path=os.pathsep.join([str(COMMANDS), os.environ["PATH"]]))
    assert path
    return Path(path)
