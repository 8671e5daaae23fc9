"""The CDK's feature flags: the values that the installed CDK recommends for new projects."""

import json
import tarfile
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def recommended_flags() -> dict[str, object]:
    """Return the flags that `cdk init` writes, from the JavaScript bundle of the Python package."""
    [bundle] = Path(str(files("aws_cdk._jsii"))).glob("aws-cdk-lib@*.jsii.tgz")
    with tarfile.open(bundle) as archive:
        file = archive.extractfile("package/recommended-feature-flags.json")
        assert file
        flags: dict[str, object] = json.load(file)
        return flags


def test_every_flag_is_set_as_recommended() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    assert context == recommended_flags()
