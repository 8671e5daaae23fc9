"""The commands of the article, typed literally against the local cloud."""

import json
import shutil
from pathlib import Path

import httpx
import pytest

from tests.cloud.checkout import Checkout
from tests.cloud.local import Cloud

INVOKE = "aws lambda invoke --function-name ${ENVIRONMENT}-${APP_NAME}-djambda-lambda"


@pytest.fixture(scope="module")
def article(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the checkout without a layer."""
    copy = cloud.checkout.copy_to(tmp_path_factory.mktemp("article"))
    (copy.folder / "layers").unlink()
    return copy


def invoke(cloud: Cloud, folder: Path, payload: str) -> tuple[dict[str, str], dict[str, object]]:
    """Return the JSON that `aws lambda invoke` prints, and the payload that it writes."""
    done = cloud.shell(f"{INVOKE} --payload '{payload}' out.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), json.loads((folder / "out.json").read_text())


def test_invoke_migrate(cloud: Cloud, tmp_path: Path) -> None:
    response, payload = invoke(cloud, tmp_path, '{"manage": "migrate --no-input"}')

    assert "FunctionError" not in response
    assert "No migrations to apply" in str(payload["output"])
    assert payload["exit_code"] == 0


def test_invoke_collectstatic_uploads_nothing_twice(cloud: Cloud, tmp_path: Path) -> None:
    response, payload = invoke(cloud, tmp_path, '{"manage": "collectstatic --no-input"}')

    assert "FunctionError" not in response
    assert "\n0 files uploaded to s3://" in str(payload["output"])


def test_invoke_createsuperuser(cloud: Cloud, tmp_path: Path) -> None:
    command = "createsuperuser --no-input --username second --email second@example.com"

    first, payload = invoke(cloud, tmp_path, json.dumps({"manage": command}))
    second, refused = invoke(cloud, tmp_path, json.dumps({"manage": command}))

    assert "FunctionError" not in first, payload
    assert second["FunctionError"] == "Unhandled"
    assert "exit code 1" in str(refused["errorMessage"])
    assert "already taken" in str(refused["errorMessage"])


def test_arguments_reach_django_unchanged(cloud: Cloud) -> None:
    payload = cloud.manage(["shell", "--no-imports", "-c", "print('a  b', \"c\")"])

    assert payload["output"] == "a  b c\n"


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ('{"manage": "migrate \\"oops"}', "quotation"),
        ('{"manage": ""}', "empty"),
        ('{"manage": 3}', "list"),
        ('{"mange": "migrate"}', "mange"),
    ],
)
def test_bad_payload_names_the_problem(
    cloud: Cloud, tmp_path: Path, payload: str, problem: str
) -> None:
    response, error = invoke(cloud, tmp_path, payload)

    assert response["FunctionError"] == "Unhandled"
    assert problem in str(error["errorMessage"])


def test_pip_synth_and_deploy(cloud: Cloud, article: Checkout, visitor: httpx.Client) -> None:
    """Deploy with a layer from plain pip, `cdk synth` and `cdk deploy`."""
    pip = cloud.shell(
        "pip install -r django/requirements.txt -t layers/django/python", checkout=article
    )
    assert pip.returncode == 0, pip.stderr

    synth = cloud.shell("cdk synth --app awscdk/app.py", checkout=article)
    assert synth.returncode == 0, synth.stderr
    assert "AWS::RDS::DBCluster" in synth.stdout

    deploy = cloud.shell(
        "cdk deploy --app awscdk/app.py --require-approval never", checkout=article
    )
    assert deploy.returncode == 0, deploy.stderr
    assert visitor.get("").status_code == 200


def test_synth_refuses_a_missing_layer(cloud: Cloud, article: Checkout) -> None:
    shutil.rmtree(article.folder / "layers", ignore_errors=True)

    synth = cloud.shell("cdk synth --app awscdk/app.py", checkout=article)

    assert synth.returncode == 1
    assert "layers/django/python" in synth.stderr
    assert "Traceback" not in synth.stderr
