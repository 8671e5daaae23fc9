"""Static checks of every configuration: cdk-nag (during synth) and cfn-lint."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import Validations
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks

from tests.synth.conftest import CONFIGURATIONS, new_app

CFN_LINT = Path(sys.executable).with_name("cfn-lint")

IGNORED = [
    "W3005",  # A redundant DependsOn, which the CDK generates for every role.
    "W3010",  # The zones of AVAILABILITY_ZONES.
]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_cfn_lint_and_cdk_nag_find_nothing(
    cloud_assembly: Callable[[str], Path], name: str
) -> None:
    [template] = cloud_assembly(name).glob("*.template.json")

    completed = subprocess.run(
        [CFN_LINT, "--ignore-checks", *IGNORED, "--template", template],
        capture_output=True,
        text=True,
        check=False,
    )

    assert completed.stdout + completed.stderr == ""


def test_synth_fails_on_an_unacknowledged_finding(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    s3.Bucket(cdk.Stack(app, "Stack"), "Bucket")

    with pytest.raises(RuntimeError, match="AwsSolutions-S1"):
        app.synth()
