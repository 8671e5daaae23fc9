"""The NAT instance: its signal to CloudFormation, and its user data, run with stub commands."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.synth.conftest import Template

type Templates = Callable[[str], Template]

STUBS = {
    "dd": "",
    "mkswap": "",
    "swapon": "",
    "dnf": 'failures=$(cat "$FAILURES"); echo $((failures - 1)) > "$FAILURES"; ((failures < 1))',
    "sleep": "",
    "sysctl": '[[ "$1" != --values ]] || echo "$FORWARDING"',
    "systemctl": "",
    "nft": "echo masquerade",
    "cfn-signal": "",
    "chmod": "",
}


@dataclass
class Boot:
    """The commands that the user data has run, its exit code, and the written files' folder."""

    commands: list[str]
    exit_code: int
    root: Path

    def ran(self, name: str) -> list[str]:
        """Return the calls of a command."""
        return [command for command in self.commands if command.split(" ")[0] == name]


def instance(template: Template) -> tuple[str, dict[str, Any]]:
    """Return the logical id and the resource of the NAT instance."""
    [found] = [
        (name, resource)
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::EC2::Instance"
    ]
    return found


def boot(script: str, root: Path, *, failures: int = 0, forwarding: str = "1") -> Boot:
    """Run a script whose commands and absolute paths are those of a folder."""
    log, programs = root / "log", root / "bin"
    for folder in ("bin", "etc/sysctl.d", "etc/systemd/system"):
        (root / folder).mkdir(parents=True)
    for name, body in STUBS.items():
        stub = programs / name
        stub.write_text(f'#!/bin/bash\necho "{name} $*" >> "{log}"\n{body}\n')
        stub.chmod(0o755)
    (root / "failures").write_text(str(failures))
    for path, target in {"/opt/aws/bin/": programs, "/etc/": root / "etc"}.items():
        script = script.replace(path, f"{target}/")
    completed = subprocess.run(
        ["bash"],
        input=script,
        text=True,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "FAILURES": str(root / "failures"),
            "FORWARDING": forwarding,
        },
        check=False,
        capture_output=True,
    )
    return Boot(log.read_text().splitlines(), completed.returncode, root)


@pytest.fixture
def script(template: Templates) -> str:
    """Return the instance's user data."""
    user_data = instance(template("ephemeral"))[1]["Properties"]["UserData"]["Fn::Base64"]
    assert isinstance(user_data, str)
    return user_data


def test_routes_wait_for_the_instances_signal(template: Templates) -> None:
    name, resource = instance(template("ephemeral"))
    routes = [
        route["Properties"]
        for route in template("ephemeral")["Resources"].values()
        if route["Type"] == "AWS::EC2::Route" and "InstanceId" in route["Properties"]
    ]

    assert resource["CreationPolicy"] == {"ResourceSignal": {"Count": 1, "Timeout": "PT15M"}}
    assert f"--resource {name} " in resource["Properties"]["UserData"]["Fn::Base64"]
    assert routes
    assert all(route["InstanceId"] == {"Ref": name} for route in routes)


def test_instance_gets_swap_then_packages_then_rules_and_reports_success(
    script: str, tmp_path: Path
) -> None:
    booted = boot(script, tmp_path)

    order = [command.split(" ")[0] for command in booted.commands]
    assert order.index("swapon") < order.index("dnf") < order.index("nft") < len(order) - 1
    [install] = booted.ran("dnf")
    assert "aws-cfn-bootstrap" in install
    assert booted.exit_code == 0
    [signal] = booted.ran("cfn-signal")
    assert signal.endswith("-e 0")


def test_settings_survive_a_reboot(script: str, tmp_path: Path) -> None:
    booted = boot(script, tmp_path)

    etc = booted.root / "etc"
    assert "net.ipv4.ip_forward = 1" in (etc / "sysctl.d/90-nat.conf").read_text()
    assert "masquerade" in (etc / "nat.nft").read_text()
    assert "nat.nft" in (etc / "systemd/system/nat.service").read_text()
    assert "systemctl enable --now nat.service" in booted.commands
    assert "swap" in (etc / "fstab").read_text()


def test_packages_are_retried(script: str, tmp_path: Path) -> None:
    booted = boot(script, tmp_path, failures=3)

    assert len(booted.ran("dnf")) == 4
    assert len(booted.ran("sleep")) == 3
    assert booted.ran("cfn-signal")[0].endswith("-e 0")


@pytest.mark.parametrize(("failures", "forwarding"), [(1000, "1"), (0, "0")])
def test_failure_is_reported(script: str, tmp_path: Path, failures: int, forwarding: str) -> None:
    booted = boot(script, tmp_path, failures=failures, forwarding=forwarding)

    assert booted.exit_code != 0
    assert booted.ran("cfn-signal")[0].endswith("-e 1")
