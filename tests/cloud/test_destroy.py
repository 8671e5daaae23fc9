"""`djambda destroy`: of an ephemeral deployment nothing stays, of another what it says."""

import json
from pathlib import Path

from tests.cloud.checkout import Checkout, stack_status
from tests.cloud.local import Cloud

TRIAL = "ENVIRONMENT=trial APP_NAME=gone"
PROTECTED = "ENVIRONMENT=trial APP_NAME=kept EPHEMERAL=false"
BROKEN_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [migrations.RunSQL("ALTER TABLE no_such_table ADD COLUMN oops integer")]
"""


def buckets(cloud: Cloud, stack: str) -> list[str]:
    """The names of a stack's buckets."""
    found = [each["Name"] for each in cloud.call("s3", "list_buckets")["Buckets"]]
    return [name for name in found if name.startswith(f"{stack}-")]


def parameters(cloud: Cloud, path: str) -> list[str]:
    """The names of the secrets below a path."""
    found = cloud.call("ssm", "get_parameters_by_path", Path=path)["Parameters"]
    return sorted(each["Name"] for each in found)


def functions(cloud: Cloud, stack: str) -> list[str]:
    """The names of a stack's functions."""
    found = [each["FunctionName"] for each in cloud.call("lambda", "list_functions")["Functions"]]
    return [name for name in found if name.startswith(f"{stack}-")]


def test_destroy_leaves_nothing(cloud: Cloud) -> None:
    deploy = "cdk deploy --app awscdk/app.py --require-approval never"
    # Files stay when a stack is to be kept after all, and when it changes its mind once more.
    for keep in ("true", "false", "true"):
        deployed = cloud.shell(f"{TRIAL} EPHEMERAL={keep} {deploy}")
        assert deployed.returncode == 0, deployed.stderr
    [bucket] = buckets(cloud, "trial-gone")
    assert cloud.call("s3", "list_objects_v2", Bucket=bucket)["KeyCount"] > 100

    destroyed = cloud.shell(f"{TRIAL} djambda destroy --confirm trial-gone")

    assert (destroyed.returncode, destroyed.stdout) == (0, "")
    assert "trial-gone is deleted." in destroyed.stderr
    assert buckets(cloud, "trial-gone") == []
    assert functions(cloud, "trial-gone") == []
    assert parameters(cloud, "/djambda/trial/gone") == []


def test_a_protected_deployment_from_a_failed_start_to_its_end(
    cloud: Cloud, tmp_path: Path
) -> None:
    """The first deploy fails; the second goes on from there; destroying asks, and leaves the data.

    That a database refuses to be deleted is not so in the emulator: see the unit tests.
    """
    checkout = Checkout.copy_to(tmp_path)
    deploy = f"{PROTECTED} {checkout.djambda('deploy')}"
    checkout.write("django/core/migrations/0002_broken.py", BROKEN_MIGRATION)

    failed = cloud.shell(deploy)

    assert failed.returncode == 1
    assert 'relation "no_such_table" does not exist' in failed.stderr
    assert "what it has made so far stays. Mend what is above, then go on" in failed.stderr
    assert stack_status(cloud, "trial-kept") == "CREATE_FAILED"
    [bucket] = buckets(cloud, "trial-kept")
    secrets = parameters(cloud, "/djambda/trial/kept")

    (tmp_path / "django/core/migrations/0002_broken.py").unlink()
    mended = cloud.shell(deploy)

    assert mended.returncode == 0, mended.stderr
    assert stack_status(cloud, "trial-kept") == "UPDATE_COMPLETE"
    assert buckets(cloud, "trial-kept") == [bucket]

    not_confirmed = cloud.shell(f"{PROTECTED} djambda destroy --confirm local-djambda < /dev/null")

    assert (not_confirmed.returncode, not_confirmed.stdout) == (1, "")
    assert "Nothing was deleted" in not_confirmed.stderr
    assert stack_status(cloud, "trial-kept") == "UPDATE_COMPLETE"

    destroyed = cloud.shell(f"{PROTECTED} djambda destroy --confirm trial-kept --json")

    assert destroyed.returncode == 0, destroyed.stderr
    said = json.loads(destroyed.stdout)
    snapshot, *others = [each["name"] for each in said["stays"]]
    assert said["destroyed"] == "trial-kept"
    assert snapshot.startswith("trial-kept-databasecluster")
    assert others == [bucket, "/djambda/trial/kept"]
    assert functions(cloud, "trial-kept") == []
    assert buckets(cloud, "trial-kept") == [bucket]
    assert parameters(cloud, "/djambda/trial/kept") == secrets
    for command in [each["delete"] for each in said["stays"]]:
        # Version 1 of `aws` asks rds.amazonaws.com all the same, if it is not told in this way.
        done = cloud.shell(f"{command} --endpoint-url $AWS_ENDPOINT_URL")
        assert done.returncode == 0, done.stderr

    assert buckets(cloud, "trial-kept") == []
    assert parameters(cloud, "/djambda/trial/kept") == []
    again = cloud.shell(f"{PROTECTED} djambda destroy --confirm trial-kept")
    assert again.returncode == 0
    assert "nothing to destroy" in again.stderr
