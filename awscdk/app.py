#!/usr/bin/env python3
"""What `cdk --app awscdk/app.py` runs: configuration, stack, synth. It calls nothing outside."""

import json
import os
import sys
from pathlib import Path

try:
    import aws_cdk
except ModuleNotFoundError:
    sys.exit("The Python that runs this has no aws_cdk. Use the project's: . .venv/bin/activate")

from awscdk import layer
from awscdk.config import Config, ConfigurationError, deprecations
from awscdk.project import ProjectError, settings_module
from awscdk.stack import DjambdaStack

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "django"
LAYER = ROOT / "layers" / "django"


def main() -> None:
    """Synthesize the stack that the environment describes; exit 1 with every problem there is."""
    architecture = os.environ.get("LAMBDA_ARCHITECTURE") or "x86_64"
    try:
        problems = layer.problems(LAYER, PROJECT / "requirements.txt", architecture)
        try:
            settings_module(PROJECT)
        except ProjectError as error:
            problems.append(str(error))
        config = Config.from_environment(os.environ, problems)
    except ConfigurationError as error:
        sys.exit(f"This cannot be deployed:\n{error}")
    for warning in deprecations(os.environ):
        sys.stderr.write(f"Warning: {warning}.\n")
    # The `cdk` command reads its feature flags from the current directory, which may be another.
    app = aws_cdk.App(context=json.loads((ROOT / "cdk.json").read_text())["context"])
    DjambdaStack(app, config, project=PROJECT, layer=LAYER)
    app.synth()


if __name__ == "__main__":
    main()
