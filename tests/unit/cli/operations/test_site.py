"""The check of the site after a deploy or a rollback."""

import pytest

from djambda_cli.operations import site
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr
from tests.unit.cli.aws_fakes import FakeClient, deployment


def test_a_site_that_cannot_be_reached_from_here_is_no_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = [{"OutputKey": "SiteUrl", "OutputValue": "https://127.0.0.1:1/prod/"}]
    stack = {"StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}
    open_ = FakeClient(get_function_configuration={})
    here = deployment(
        cloudformation=FakeClient(describe_stacks={"Stacks": [stack]}), **{"lambda": open_}
    )

    site.look(here, Steps(stderr))

    assert "! https://127.0.0.1:1/prod/ cannot be reached from here" in capsys.readouterr().err
