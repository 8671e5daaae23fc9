#!/usr/bin/env python3
"""The CDK app: read the configuration and synthesize the stack, without AWS, git or network."""

import json
import os
import sys
from pathlib import Path

try:
    import aws_cdk
except ModuleNotFoundError:
    sys.exit(
        "This Python has no aws_cdk. Activate the virtual environment first: . .venv/bin/activate"
    )

from awscdk import layer
from awscdk.config import Config, ConfigurationError, deprecations
from awscdk.project import ProjectError, settings_module
from awscdk.stack import DjambdaStack

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "django"
LAYER = ROOT / "layers" / "django"


def main() -> None:
    """Synthesize the stack that the environment describes, or exit with 1 and all problems."""
    architecture = os.environ.get("LAMBDA_ARCHITECTURE") or "x86_64"
    try:
        problems = layer.problems(LAYER, PROJECT / "requirements.txt", architecture)
        try:
            settings_module(PROJECT)
        except ProjectError as error:
            problems.append(str(error))
        config = Config.from_environment(os.environ, problems)
    except ConfigurationError as error:
        sys.exit(f"Cannot deploy:\n{error}")
    for warning in deprecations(os.environ):
        sys.stderr.write(f"Warning: {warning}.\n")
    # `cdk` reads feature flags from the current directory, which may be a different one.
    app = aws_cdk.App(context=json.loads((ROOT / "cdk.json").read_text())["context"])
    DjambdaStack(app, config, project=PROJECT, layer=LAYER)
    app.synth()


if __name__ == "__main__":
    main()
