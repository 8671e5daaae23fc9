"""A release that fails: the deploy fails with the command's words, and the site goes on serving."""

import shutil
import threading
from pathlib import Path

import pytest

from tests.cloud.local import ROOT, Cloud

BROKEN_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [migrations.RunSQL("ALTER TABLE no_such_table ADD COLUMN oops integer")]
"""


@pytest.fixture
def broken_checkout(tmp_path: Path) -> Path:
    """A copy of the checkout with a migration that cannot be applied."""
    for name in ("awscdk", "awslambda", "django", "layers"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "cdk.json", tmp_path)
    migration = tmp_path / "django" / "core" / "migrations" / "0002_broken.py"
    migration.write_text(BROKEN_MIGRATION)
    return tmp_path


def live_version(cloud: Cloud) -> str:
    alias = cloud.call("lambda", "get_alias", FunctionName=cloud.function, Name="live")
    version: str = alias["FunctionVersion"]
    return version


def test_failing_migration_fails_the_deploy_and_nothing_else(
    cloud: Cloud, broken_checkout: Path
) -> None:
    before = live_version(cloud)
    answers: list[int] = []
    done = threading.Event()

    def keep_asking() -> None:
        with cloud.browser() as client:
            while not done.wait(0.2):
                answers.append(client.get("healthz").status_code)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        deploy = cloud.shell(
            "cdk deploy --app awscdk/app.py --require-approval never", cwd=broken_checkout
        )
    finally:
        done.set()
        asking.join()

    assert deploy.returncode == 1
    said = " ".join((deploy.stdout + deploy.stderr).split())
    assert "migrate --no-input" in said
    assert 'relation "no_such_table" does not exist' in said
    assert live_version(cloud) == before
    assert len(answers) > 20
    assert set(answers) == {200}
    described = cloud.call("cloudformation", "describe_stacks", StackName="local-djambda")
    assert described["Stacks"][0]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
