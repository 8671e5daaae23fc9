"""AWS's own reviewers on every configuration: cdk-nag (while synthesizing) and cfn-lint."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.synth.conftest import CONFIGURATIONS

CFN_LINT = Path(sys.executable).with_name("cfn-lint")

IGNORED = ["W3005"]  # A DependsOn that a GetAtt implies: the CDK writes it for every role.


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_cfn_lint_and_cdk_nag_find_nothing(
    cloud_assembly: Callable[[str], Path], name: str
) -> None:
    [template] = cloud_assembly(name).glob("*.template.json")

    done = subprocess.run(
        [CFN_LINT, "--ignore-checks", *IGNORED, "--template", template],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout + done.stderr == ""
