"""Releases that fail at each of their steps: the deploy reports the command's output, the previous
version stays live, and no request fails.

The broken migration is deployed with `djambda deploy`. The other failures are CloudFormation
updates of the deployed template, which are faster and run the same code in the stack.
"""

import json
import time
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from djambda_cli.local.cloud import DATABASE_NAME, DATABASE_USER, LocalCloud
from tests.cloud.checkout import Checkout
from tests.cloud.local import MISSING_BUCKET, Cloud
from tests.cloud.visits import constant_visits

STACK = "local-djambda"
VERBOSE_BROKEN_MIGRATION = """
from django.db import migrations


def talk(apps, schema_editor):
    for number in range(500):
        print(f"This is line {number} of the migration")


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]
    operations = [
        migrations.RunPython(talk),
        migrations.RunSQL("ALTER TABLE no_such_table ADD COLUMN oops integer"),
    ]
"""


def test_failing_migration(cloud: Cloud, checkout: Checkout) -> None:
    checkout.write("django/catalog/migrations/0002_broken.py", VERBOSE_BROKEN_MIGRATION)
    before = cloud.live_version()

    with constant_visits(cloud) as statuses:
        deploy = cloud.djambda("deploy", checkout=checkout)

    assert (deploy.returncode, deploy.stdout) == (1, "")
    assert "`migrate --no-input`" in deploy.stderr
    assert "exit code 1" in deploy.stderr
    for number in (0, 250, 499):  # The whole output, which is too long for CloudFormation.
        assert f"This is line {number} of the migration\n" in deploy.stderr
    assert 'relation "no_such_table" does not exist' in deploy.stderr
    for noise in ("Traceback", "CloudFormation", "RequestId", "cdk", "ROLLBACK"):
        assert noise not in deploy.stderr
    assert cloud.live_version() == before
    assert cloud.stack_status() == "UPDATE_ROLLBACK_COMPLETE"
    assert len(statuses) > 20
    assert set(statuses) == {200}


@pytest.mark.parametrize(
    ("variables", "timeout", "facts"),
    [
        pytest.param(
            {"POSTGRES_DB": "nowhere"},
            900,
            ["`wait_for_database`", 'database "nowhere" does not exist'],
            id="no-database",
        ),
        pytest.param(
            {"PGPORT": "1"},
            4,
            ["`wait_for_database`", "timed out"],
            id="database-asleep-for-too-long",
        ),
        pytest.param(
            {"AWS_STORAGE_BUCKET_NAME": MISSING_BUCKET},
            900,
            ["`collectstatic --no-input`", "NoSuchBucket"],
            id="no-bucket",
        ),
        pytest.param(
            {"DJANGO_SUPERUSER_USERNAME": "x" * 151},
            900,
            ["`ensure_superuser`", "at most 150 characters"],
            id="no-superuser",
        ),
    ],
)
def test_failing_step(
    cloud: Cloud, variables: dict[str, str], timeout: int, facts: list[str]
) -> None:
    assert_release_fails(cloud, variables, timeout, facts)


def test_migration_that_exceeds_the_time_limit(cloud: Cloud) -> None:
    """Another connection has locked a table that the migration needs."""
    local = LocalCloud(cloud.folder)
    other = psycopg2.connect(
        host="127.0.0.1",
        port=local.require_running().postgres_port,
        user=DATABASE_USER,
        dbname=DATABASE_NAME,
        password=local.credentials.database_password,
    )
    with closing(other):
        other.cursor().execute("LOCK TABLE django_migrations")

        assert_release_fails(cloud, {}, 8, ["`migrate --no-input`", "timed out"])


def assert_release_fails(
    cloud: Cloud, variables: dict[str, str], timeout: int, facts: list[str]
) -> None:
    """Release with these variables: it fails with these facts, and no request fails."""
    before = cloud.live_version()

    with constant_visits(cloud) as statuses:
        reason = failing_release(cloud, variables, timeout)

    for fact in facts:
        assert fact in reason
    assert cloud.live_version() == before
    assert cloud.stack_status() == "UPDATE_ROLLBACK_COMPLETE"
    assert len(statuses) > 5
    assert set(statuses) == {200}


def failing_release(cloud: Cloud, variables: dict[str, str], timeout: int) -> str:
    """Have CloudFormation release Django with these variables; return the failure's reason."""
    body = cloud.call("cloudformation", "get_template", StackName=STACK)["TemplateBody"]
    template: dict[str, Any] = json.loads(body) if isinstance(body, str) else dict(body)
    names = {
        resource["Type"]: name
        for name, resource in template["Resources"].items()
        if name.startswith(("DjangoFunction", "ReleaseRun"))
    }
    django = template["Resources"][names["AWS::Lambda::Function"]]["Properties"]
    django["Environment"]["Variables"] |= variables
    django["Timeout"] = timeout
    version = names["AWS::Lambda::Version"]  # Its last 32 digits are a hash of the function.
    # Without spaces, because CloudFormation accepts 51,200 bytes.
    body = json.dumps(template, separators=(",", ":"))
    body = body.replace(version, f"{version[:-32]}{time.time_ns():032x}")
    cloud.call(
        "cloudformation",
        "update_stack",
        StackName=STACK,
        TemplateBody=body,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": "BootstrapVersion", "UsePreviousValue": True}],
    )
    while cloud.stack_status().endswith("_IN_PROGRESS"):
        time.sleep(0.2)
    events = cloud.call("cloudformation", "describe_stack_events", StackName=STACK)["StackEvents"]
    return next(
        str(event["ResourceStatusReason"])
        for event in events
        if (event["LogicalResourceId"], event["ResourceStatus"])
        == (names["Custom::DjangoRelease"], "UPDATE_FAILED")
        and event.get("ResourceStatusReason")
    )
