"""`djambda synth`: write the CloudFormation template."""

import json
import os
import sys
from typing import Annotated

import typer
from rich.markup import escape

from djambda_cli.deployment import use_deployment
from djambda_cli.operations.shipping import files_as_json, load_selection, render_files
from djambda_cli.operations.synthesis import synthesize
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.paths import CDK_OUTPUT, load_project
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr, stdout


def synth(
    *,
    files: Annotated[
        bool,
        typer.Option(
            "--files", help="Only list the project's files that ship, and those that do not."
        ),
    ] = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Write the CloudFormation template and its assets, without deploying them.

    Example: `djambda synth --json | jq '.Resources | keys'`
    """
    if files:
        project = load_project()
        selection = load_selection(project.root, project.file.exclude)
        if as_json:
            stdout.print_json(json.dumps(files_as_json(selection)))
        else:
            stdout.print(escape(render_files(selection, project.root)), soft_wrap=True)
        return
    deployment = use_deployment(local=local, folder=folder)
    synthesize(deployment, Steps(stderr), CDK_OUTPUT)
    template = CDK_OUTPUT / f"{deployment.stack}.template.json"
    if as_json:
        sys.stdout.write(template.read_text())
    else:
        stdout.print(os.path.relpath(template), soft_wrap=True)
