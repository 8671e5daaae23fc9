#!/usr/bin/env python3
"""What `cdk --app awscdk/app.py` runs: configuration, stack, synth. It calls nothing outside."""

import os
import sys
from pathlib import Path

try:
    import aws_cdk
except ModuleNotFoundError:
    sys.exit("The Python that runs this has no aws_cdk. Use the project's: . .venv/bin/activate")

from awscdk import layer
from awscdk.config import Config, ConfigurationError
from awscdk.stack import DjambdaStack

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "django"
REQUIREMENTS = ROOT / "django" / "requirements.txt"


def main() -> None:
    """Synthesize the stack that the environment describes; exit 1 with every problem there is."""
    try:
        config = Config.from_environment(os.environ)
        problems = layer.problems(LAYER, REQUIREMENTS, config.lambda_architecture)
    except ConfigurationError as error:
        problems = error.problems
    if problems:
        sys.exit("This cannot be deployed:\n" + "\n".join(f"  - {each}" for each in problems))
    app = aws_cdk.App()
    DjambdaStack(app, config, layer=LAYER)
    app.synth()


if __name__ == "__main__":
    main()
