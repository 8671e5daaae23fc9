"""`djambda destroy`: it deletes ephemeral deployments, and lists the data it keeps of others."""

import json

from tests.cloud.checkout import Checkout
from tests.cloud.local import Cloud

EPHEMERAL = "ENVIRONMENT=trial APP_NAME=gone MAIL_FROM=gone@example.com"
PROTECTED = "ENVIRONMENT=trial APP_NAME=kept MAIL_FROM=kept@example.com EPHEMERAL=false"
BROKEN_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]
    operations = [migrations.RunSQL("ALTER TABLE no_such_table ADD COLUMN oops integer")]
"""


def buckets(cloud: Cloud, stack: str) -> list[str]:
    """Return the names of a stack's buckets."""
    names = [bucket["Name"] for bucket in cloud.call("s3", "list_buckets")["Buckets"]]
    return [name for name in names if name.startswith(f"{stack}-")]


def parameters(cloud: Cloud, path: str) -> list[str]:
    """Return the names of the SSM parameters under a path."""
    page = cloud.call("ssm", "get_parameters_by_path", Path=path)
    return sorted(parameter["Name"] for parameter in page["Parameters"])


def functions(cloud: Cloud, stack: str) -> list[str]:
    """Return the names of a stack's functions."""
    listed = cloud.call("lambda", "list_functions")["Functions"]
    names = [function["FunctionName"] for function in listed]
    return [name for name in names if name.startswith(f"{stack}-")]


def test_ephemeral_deployment_is_deleted_completely(cloud: Cloud) -> None:
    deploy = "cdk deploy --app awscdk/app.py --require-approval never"
    # Switching between ephemeral and protected deletes no files.
    for ephemeral in ("true", "false", "true"):
        deployed = cloud.shell(f"{EPHEMERAL} EPHEMERAL={ephemeral} {deploy}")
        assert deployed.returncode == 0, deployed.stderr
    [bucket] = buckets(cloud, "trial-gone")
    assert cloud.call("s3", "list_objects_v2", Bucket=bucket)["KeyCount"] > 100

    destroyed = cloud.shell(f"{EPHEMERAL} djambda destroy --confirm trial-gone")

    assert (destroyed.returncode, destroyed.stdout) == (0, "")
    assert buckets(cloud, "trial-gone") == []
    assert functions(cloud, "trial-gone") == []
    assert parameters(cloud, "/djambda/trial/gone") == []


def test_protected_deployment_from_a_failed_first_deploy_to_its_end(
    cloud: Cloud, checkout: Checkout
) -> None:
    """The first deploy fails, the second continues it, and destroying keeps the data.

    The emulator has no deletion protection of databases; the unit tests cover it.
    """
    deploy = f"{PROTECTED} djambda deploy"
    migration = "django/catalog/migrations/0002_broken.py"
    checkout.write(migration, BROKEN_MIGRATION)

    failed = cloud.shell(deploy, checkout=checkout)

    assert failed.returncode == 1
    assert 'relation "no_such_table" does not exist' in failed.stderr
    assert cloud.stack_status("trial-kept") == "CREATE_FAILED"
    [bucket] = buckets(cloud, "trial-kept")
    secrets = parameters(cloud, "/djambda/trial/kept")

    (checkout.folder / migration).unlink()
    fixed = cloud.shell(deploy, checkout=checkout)

    assert fixed.returncode == 0, fixed.stderr
    assert cloud.stack_status("trial-kept") == "UPDATE_COMPLETE"
    assert buckets(cloud, "trial-kept") == [bucket]

    not_confirmed = cloud.shell(f"{PROTECTED} djambda destroy --confirm local-djambda < /dev/null")

    assert (not_confirmed.returncode, not_confirmed.stdout) == (1, "")
    assert cloud.stack_status("trial-kept") == "UPDATE_COMPLETE"

    destroyed = cloud.shell(f"{PROTECTED} djambda destroy --confirm trial-kept --json")

    assert destroyed.returncode == 0, destroyed.stderr
    summary = json.loads(destroyed.stdout)
    kept = summary["kept"]
    snapshot, *others = [item["name"] for item in kept]
    assert summary["destroyed"] == "trial-kept"
    assert snapshot.startswith("trial-kept-databasecluster")
    assert others == [bucket, "/djambda/trial/kept", "kept@example.com"]
    assert functions(cloud, "trial-kept") == []
    assert buckets(cloud, "trial-kept") == [bucket]
    assert parameters(cloud, "/djambda/trial/kept") == secrets
    for item in kept:
        # Version 1 of `aws` ignores AWS_ENDPOINT_URL for RDS.
        done = cloud.shell(f"{item['delete']} --endpoint-url $AWS_ENDPOINT_URL")
        assert done.returncode == 0, done.stderr

    assert buckets(cloud, "trial-kept") == []
    assert parameters(cloud, "/djambda/trial/kept") == []
    again = cloud.shell(f"{PROTECTED} djambda destroy --confirm trial-kept")
    assert again.returncode == 0, again.stderr
