"""`djambda check`: check the project before a deploy."""

import typer

from djambda_cli.deployment import planned_deployment
from djambda_cli.operations.checks_project import check_project
from djambda_cli.operations.report import is_ok, print_report
from djambda_cli.operations.synthesis import project_with_layer
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr


def check(*, local: Local = False, as_json: Json = False, folder: Folder = DEFAULT_FOLDER) -> None:
    """Check whether the project works on Lambda.

    It starts Django as the deployed function does, with the layer's packages, but without a
    database, and runs Django's own `check --deploy`. Each finding shows its place and how to fix
    it. Exits with 1 if there is a problem. `up` and `deploy` run the same check first.

    Example: `djambda check`
    """
    deployment = planned_deployment(local=local, folder=folder)
    steps = Steps(stderr)
    with project_with_layer(deployment, steps) as project, steps.step("Check project"):
        report = check_project(deployment, project, with_values=True)
    print_report(report, as_json=as_json)
    if not is_ok(report):
        raise typer.Exit(1)
