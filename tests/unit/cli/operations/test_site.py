"""The check of the site after a deploy or a rollback."""

import pytest

from djambda_cli.operations.site import check_site
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr
from tests.unit.cli.aws_fakes import FakeClient, deployment


def test_unreachable_site_is_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = [{"OutputKey": "SiteUrl", "OutputValue": "https://127.0.0.1:1/prod/"}]
    stack = {"StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}
    open_ = FakeClient(get_function_configuration={})
    here = deployment(
        cloudformation=FakeClient(describe_stacks={"Stacks": [stack]}), **{"lambda": open_}
    )

    check_site(here, Steps(stderr))

    assert "! Could not reach https://127.0.0.1:1/prod/" in capsys.readouterr().err
