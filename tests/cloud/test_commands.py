"""The commands that users type, literally, against the local cloud."""

import json
import shutil
from pathlib import Path

import httpx
import pytest

from tests.cloud.local import ROOT, Cloud

INVOKE = "aws lambda invoke --function-name ${ENVIRONMENT}-${APP_NAME}-djambda-lambda"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a deploy reads, to be changed and deployed without touching the checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("awscdk", "awslambda", "common", "django"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "cdk.json", folder)
    return folder


def invoke(cloud: Cloud, folder: Path, payload: str) -> tuple[dict[str, str], dict[str, object]]:
    """The answer that `aws lambda invoke` prints, and the payload that it writes."""
    done = cloud.shell(f"{INVOKE} --payload '{payload}' out.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), json.loads((folder / "out.json").read_text())


def test_migrate(cloud: Cloud, tmp_path: Path) -> None:
    answer, payload = invoke(cloud, tmp_path, '{"manage": "migrate --no-input"}')

    assert "FunctionError" not in answer
    assert "No migrations to apply" in str(payload["output"])
    assert payload["exit_code"] == 0


def test_collectstatic_uploads_nothing_twice(cloud: Cloud, tmp_path: Path) -> None:
    answer, payload = invoke(cloud, tmp_path, '{"manage": "collectstatic --no-input"}')

    assert "FunctionError" not in answer
    assert "\n0 files uploaded to s3://" in str(payload["output"])


def test_createsuperuser(cloud: Cloud, tmp_path: Path) -> None:
    command = "createsuperuser --no-input --username second --email second@example.com"

    first, payload = invoke(cloud, tmp_path, json.dumps({"manage": command}))
    again, refused = invoke(cloud, tmp_path, json.dumps({"manage": command}))

    assert "FunctionError" not in first, payload
    assert again["FunctionError"] == "Unhandled"
    assert "exit code 1" in str(refused["errorMessage"])
    assert "already taken" in str(refused["errorMessage"])


def test_arguments_reach_django_as_they_are(cloud: Cloud) -> None:
    payload = cloud.manage(["shell", "--no-imports", "-c", "print('a  b', \"c\")"])

    assert payload["output"] == "a  b c\n"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ('{"manage": "migrate \\"oops"}', "Close the quotation"),
        ('{"manage": ""}', "the command is empty"),
        ('{"manage": 3}', "a string or a list of strings"),
        ('{"mange": "migrate"}', "mange"),
    ],
)
def test_bad_payload_says_what_is_accepted(
    cloud: Cloud, tmp_path: Path, payload: str, said: str
) -> None:
    answer, error = invoke(cloud, tmp_path, payload)

    assert answer["FunctionError"] == "Unhandled"
    assert said in str(error["errorMessage"])


def test_article_from_pip_to_deploy(cloud: Cloud, checkout: Path, visitor: httpx.Client) -> None:
    """A layer made by plain pip, `cdk synth` and `cdk deploy`: it serves."""
    pip = cloud.shell(
        "pip install -r django/requirements.txt -t layers/django/python", cwd=checkout
    )
    assert pip.returncode == 0, pip.stderr

    synth = cloud.shell("cdk synth --app awscdk/app.py", cwd=checkout)
    assert synth.returncode == 0, synth.stderr
    assert "AWS::RDS::DBCluster" in synth.stdout

    deploy = cloud.shell("cdk deploy --app awscdk/app.py --require-approval never", cwd=checkout)
    assert deploy.returncode == 0, deploy.stderr
    assert visitor.get("").status_code == 200


def test_synth_refuses_a_layer_that_is_missing(cloud: Cloud, checkout: Path) -> None:
    shutil.rmtree(checkout / "layers", ignore_errors=True)

    synth = cloud.shell("cdk synth --app awscdk/app.py", cwd=checkout)

    assert synth.returncode == 1
    assert "layers/django/python is missing or empty" in synth.stderr
    assert "Traceback" not in synth.stderr
