"""The CDK's feature flags: all of them set as the installed CDK recommends to new projects."""

import json
import tarfile
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def recommended_flags() -> dict[str, object]:
    """What `cdk init` writes; the library for Python holds it inside its JavaScript."""
    [bundle] = Path(str(files("aws_cdk._jsii"))).glob("aws-cdk-lib@*.jsii.tgz")
    with tarfile.open(bundle) as archive:
        file = archive.extractfile("package/recommended-feature-flags.json")
        assert file
        flags: dict[str, object] = json.load(file)
        return flags


def test_every_flag_is_set_as_recommended() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    assert context == recommended_flags()
