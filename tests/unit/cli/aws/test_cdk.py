"""The output of the CDK CLI: its progress, its errors and its diff."""

from pathlib import Path

import pytest

from djambda_cli.aws import cdk
from djambda_cli.aws.cdk import Cdk
from djambda_cli.errors import CliError


def fake_cdk(script: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cdk:
    """Install a shell script as the `cdk` command."""
    file = tmp_path / "cdk"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setattr(cdk, "tool", lambda _: str(file))
    monkeypatch.setattr(cdk, "HOME", tmp_path)
    return Cdk(isolated=True)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "shop: creating CloudFormation changeset...\n",
            "shop: creating CloudFormation changeset...",
        ),
        (
            "shop | 1/17 | 12:38:23 | UPDATE_COMPLETE | AWS::IAM::Role | Django/Role (Id0378)\n",
            "update complete Django/Role",
        ),
        ("shop |  0/17 | 12:38:23 PM | CREATE_FAILED | AWS::RDS::DBCluster |", None),
    ],
)
def test_progress_of_a_stack_event_is_its_status_and_resource(line: str, shown: str | None) -> None:
    assert cdk.readable(line) == (shown or line.strip())


@pytest.mark.parametrize(
    ("variables", "words"), [("", []), ("abc", ["--context", "djambda:variables=abc"])]
)
def test_synth_gets_the_snapshot_of_the_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: str, words: list[str]
) -> None:
    log = tmp_path / "arguments"
    command = fake_cdk(f'printf "%s\\n" "$@" > {log}', monkeypatch, tmp_path)

    command.synth(Path("output"), lambda _: None, variables)

    arguments = log.read_text().split()
    assert [word for word in arguments if word == "--context" or "djambda:" in word] == words


def test_failed_command_shows_the_end_of_its_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = fake_cdk("seq 100; echo; echo 'it failed' >&2; exit 1", monkeypatch, tmp_path)
    progress: list[str] = []

    with pytest.raises(CliError, match="Nothing was changed") as error:
        command.synth(Path("output"), progress.append)

    assert error.value.output.splitlines()[-2:] == ["100", "it failed"]
    assert len(error.value.output.splitlines()) == cdk.SHOWN_LINES
    assert progress[-1] == "it failed"


@pytest.mark.parametrize(
    ("script", "differences"), [("exit 0", ""), ("echo ' [+] Bucket '; exit 1", "[+] Bucket")]
)
def test_diff_by_its_exit_code(
    script: str, differences: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = fake_cdk(script, monkeypatch, tmp_path)

    assert command.diff(Path("assembly"), "shop", color=False) == differences


@pytest.mark.parametrize("script", ["echo 'no network' >&2; exit 1", "echo 'no network'; exit 2"])
def test_diff_that_fails(script: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = fake_cdk(script, monkeypatch, tmp_path)

    with pytest.raises(CliError, match="diff") as error:
        command.diff(Path("assembly"), "shop", color=False)

    assert error.value.output == "no network\n"
