"""Checks of this machine."""

from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from djambda_cli.operations.checks_machine import (
    check_files,
    check_machine,
    rate_cdk,
    rate_disk,
    rate_node,
    rate_project_python,
    rate_python,
    rate_tool,
    supported_node,
)
from djambda_cli.operations.findings import Level, ok, problem


def test_machine_has_the_tools() -> None:
    findings = list(check_machine(local=True))

    assert [finding for finding in findings if finding.level is Level.PROBLEM] == []
    assert [finding.message.rpartition(" ")[0] for finding in findings[:5]] == [
        "Python",
        "uv",
        "Node",
        "CDK CLI",
        "AWS emulator",
    ]


def test_missing_tools_name_the_command() -> None:
    missing = [rate_tool("uv", ""), rate_node("", supported_node()), rate_cdk("", "2.1148.1")]

    assert missing == [
        problem(f"{tool} is missing", "make tools") for tool in ("uv", "Node", "CDK CLI")
    ]


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("18.1.0", Level.PROBLEM),
        ("22.0.0", Level.OK),
        ("26.9.1", Level.OK),
        ("27.0.0", Level.PROBLEM),
        ("25.0.0-nightly20261124", Level.OK),
    ],
)
def test_node_version(version: str, level: Level) -> None:
    finding = rate_node(version, SpecifierSet(">=22,<27"))

    assert finding.level is level
    assert version in finding.message


def test_cdk_version() -> None:
    assert rate_cdk("2.1148.1", "2.1148.1") == ok("CDK CLI 2.1148.1")
    assert rate_cdk("2.1100.0", "2.1148.1") == problem(
        "CDK CLI 2.1100.0, but 2.1148.1 is locked", "make tools"
    )


def test_python_version() -> None:
    assert rate_python((3, 13), "3.13.0").level is Level.OK
    assert rate_python((3, 12), "3.12.1").level is Level.PROBLEM


@pytest.mark.parametrize(
    ("gigabytes", "level"), [(0.4, Level.PROBLEM), (1, Level.WARNING), (3, Level.OK)]
)
def test_disk(gigabytes: float, level: Level) -> None:
    assert rate_disk(int(gigabytes * 1e9)).level is level


@pytest.mark.parametrize(
    ("has_it", "local", "level"),
    [
        (True, True, Level.OK),
        (False, True, Level.PROBLEM),
        (False, False, Level.WARNING),
    ],
)
def test_python_of_the_project(*, has_it: bool, local: bool, level: Level) -> None:
    finding = rate_project_python("3.14", has_it=has_it, local=local)

    assert finding.level is level
    assert "Python 3.14" in finding.message


def test_file_that_cannot_be_shipped(tmp_path: Path) -> None:
    assert list(check_files(tmp_path)) == []
    (tmp_path / "a\\b.txt").touch()

    [finding] = check_files(tmp_path)

    assert finding.level is Level.PROBLEM
    assert "backslash" in finding.message
