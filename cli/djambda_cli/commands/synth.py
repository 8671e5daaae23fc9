"""`djambda synth`: write the CloudFormation template."""

import os
import sys

from djambda_cli.deployment import use_deployment
from djambda_cli.operations.synthesis import synthesize
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.paths import ROOT
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr, stdout


def synth(*, local: Local = False, as_json: Json = False, folder: Folder = DEFAULT_FOLDER) -> None:
    """Write the CloudFormation template and its assets into cdk.out, without deploying them.

    Example: `djambda synth --json | jq '.Resources | keys'`
    """
    deployment = use_deployment(local=local, folder=folder)
    output = ROOT / "cdk.out"
    synthesize(deployment, Steps(stderr), output)
    template = output / f"{deployment.stack}.template.json"
    if as_json:
        sys.stdout.write(template.read_text())
    else:
        stdout.print(os.path.relpath(template), soft_wrap=True)
