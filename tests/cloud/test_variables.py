"""The project's own variables and secrets in a deployed function."""

import json
from collections.abc import Iterator

import pytest

from tests.cloud.local import Cloud

DESCRIBED = "Django: gateway events and management commands"
SHOWN = ["shell", "-v", "0", "-c", "import os; print(os.environ['OWN_TOKEN'])"]


@pytest.fixture
def token(cloud: Cloud) -> Iterator[str]:
    """A secret that was set with the CLI."""
    value = """a'b" $HOME {{x}} zażółć"""
    done = cloud.shell(f"djambda secret set OWN_TOKEN <<'END'\n{value}\nEND")
    assert done.returncode == 0, done.stderr
    assert value not in done.stdout + done.stderr
    yield value
    assert cloud.shell("djambda secret unset OWN_TOKEN").returncode == 0
    assert "OWN_TOKEN" not in cloud.shell("djambda secret list").stdout


@pytest.fixture
def new_instance(cloud: Cloud, token: str) -> Iterator[None]:
    """An instance of the function that starts after the secret was set."""
    cloud.call(
        "lambda", "update_function_configuration", FunctionName=cloud.function, Description="new"
    )
    yield
    cloud.call(
        "lambda",
        "update_function_configuration",
        FunctionName=cloud.function,
        Description=DESCRIBED,
    )


@pytest.mark.usefixtures("new_instance")
def test_secret_is_in_the_environment_of_a_new_instance(cloud: Cloud, token: str) -> None:
    response = cloud.call(
        "lambda",
        "invoke",
        FunctionName=cloud.function,
        Payload=json.dumps({"manage": SHOWN}).encode(),
    )

    assert json.loads(response["Payload"].read())["output"].strip() == token
