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

from awscdk import layer, selection
from awscdk.config import Config, ConfigurationError, deprecations
from awscdk.discovery import find_project, project_of_checkout
from awscdk.product import PRODUCT
from awscdk.project_file import ProjectError
from awscdk.stack import DjambdaStack
from djambda_common.names import VARIABLES_CONTEXT


def main(*folders: str) -> None:
    """Synthesize the stack that the environment describes, or exit with 1 and all problems.

    It deploys the project in the given folder, by default the one in the checkout's `django/`.
    """
    architecture = os.environ.get("LAMBDA_ARCHITECTURE") or "x86_64"
    try:
        home = [Path(folder) for folder in folders]
        project = find_project(*home) if home else project_of_checkout(PRODUCT)
        problems = [
            *project.problems(),
            *layer.problems(project, architecture),
            *selection.problems(project),
        ]
        config = Config.from_environment(
            os.environ, list(dict.fromkeys(problems)), tasks=project.file.tasks
        )
    except (ConfigurationError, ProjectError) as error:
        sys.exit(f"Cannot deploy:\n{error}")
    for warning in deprecations(os.environ):
        sys.stderr.write(f"Warning: {warning}.\n")
    # `cdk` reads feature flags from the current directory, which may be a different one.
    app = aws_cdk.App(context=json.loads((PRODUCT / "cdk.json").read_text())["context"])
    variables = app.node.try_get_context(VARIABLES_CONTEXT) or ""
    DjambdaStack(app, config, project=project, variables=variables)
    app.synth()


if __name__ == "__main__":
    main(*sys.argv[1:])
