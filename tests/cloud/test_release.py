"""A release that fails, at each of its steps: the deploy fails with the command's words, and the
version before goes on serving, without one request that fails.

The bad migration is deployed with `djambda deploy`. The other failures are CloudFormation updates
of the deployed template, which take a fraction of the time: what runs in the stack is the same.
"""

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from djambda_cli.local.cloud import DATABASE_NAME, DATABASE_USER, LocalCloud
from tests.cloud.checkout import Checkout, constant_visits, live_version, stack_status
from tests.cloud.local import Cloud

STACK = "local-djambda"
TALKATIVE_BROKEN_MIGRATION = """
from django.db import migrations


def talk(apps, schema_editor):
    for number in range(500):
        print(f"This is line {number} of the migration")


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [
        migrations.RunPython(talk),
        migrations.RunSQL("ALTER TABLE no_such_table ADD COLUMN oops integer"),
    ]
"""


def test_a_migration_that_fails(cloud: Cloud, tmp_path: Path) -> None:
    checkout = Checkout.copy_to(tmp_path)
    checkout.write("django/core/migrations/0002_broken.py", TALKATIVE_BROKEN_MIGRATION)
    before = live_version(cloud)

    with constant_visits(cloud) as answers:
        deploy = checkout.run(cloud, "deploy")

    assert (deploy.returncode, deploy.stdout) == (1, "")
    assert "`migrate --no-input` failed with exit code 1:\n" in deploy.stderr
    for number in (0, 250, 499):  # All of it, though CloudFormation has no room for that.
        assert f"This is line {number} of the migration\n" in deploy.stderr
    assert 'relation "no_such_table" does not exist' in deploy.stderr
    assert "the version before has been serving all the time" in deploy.stderr
    for noise in ("Traceback", "CloudFormation", "RequestId", "cdk", "ROLLBACK"):
        assert noise not in deploy.stderr
    assert live_version(cloud) == before
    assert stack_status(cloud) == "UPDATE_ROLLBACK_COMPLETE"
    assert len(answers) > 20
    assert set(answers) == {200}


@pytest.mark.parametrize(
    ("variables", "timeout", "said"),
    [
        pytest.param(
            {"POSTGRES_DB": "nowhere"},
            900,
            ["`wait_for_database` failed", 'database "nowhere" does not exist'],
            id="no-database",
        ),
        pytest.param(
            {"PGPORT": "1"},
            4,
            ["`wait_for_database` was stopped at the Django function's time limit"],
            id="database-asleep-for-too-long",
        ),
        pytest.param(
            {"AWS_STORAGE_BUCKET_NAME": "no-such-bucket"},
            900,
            ["`collectstatic --no-input` failed", "NoSuchBucket"],
            id="no-bucket",
        ),
        pytest.param(
            {"DJANGO_SUPERUSER_USERNAME": "x" * 151},
            900,
            ["`ensure_superuser` failed", "value too long"],
            id="no-superuser",
        ),
    ],
)
def test_a_step_that_fails(
    cloud: Cloud, variables: dict[str, str], timeout: int, said: list[str]
) -> None:
    fails_unnoticed(cloud, variables, timeout, said)


def test_a_migration_that_takes_too_long(cloud: Cloud) -> None:
    """It waits for a table that somebody else has locked."""
    port = LocalCloud(cloud.folder).require_running().postgres_port
    other = psycopg2.connect(host="127.0.0.1", port=port, user=DATABASE_USER, dbname=DATABASE_NAME)
    with closing(other):
        other.cursor().execute("LOCK TABLE django_migrations")

        fails_unnoticed(
            cloud, {}, 8, ["`migrate --no-input` was stopped at the Django function's time limit"]
        )


def fails_unnoticed(cloud: Cloud, variables: dict[str, str], timeout: int, said: list[str]) -> None:
    """A release with these variables fails, says that, and no visitor sees anything of it."""
    before = live_version(cloud)

    with constant_visits(cloud) as answers:
        reason = failing_release(cloud, variables, timeout)

    for words in said:
        assert words in reason
    assert live_version(cloud) == before
    assert stack_status(cloud) == "UPDATE_ROLLBACK_COMPLETE"
    assert len(answers) > 5
    assert set(answers) == {200}


def failing_release(cloud: Cloud, variables: dict[str, str], timeout: int) -> str:
    """Have CloudFormation release Django with these variables; the reason of the failure."""
    found = cloud.call("cloudformation", "get_template", StackName=STACK)["TemplateBody"]
    template: dict[str, Any] = json.loads(found) if isinstance(found, str) else dict(found)
    names = {
        resource["Type"]: name
        for name, resource in template["Resources"].items()
        if name.startswith(("DjangoFunction", "ReleaseRun"))
    }
    django = template["Resources"][names["AWS::Lambda::Function"]]["Properties"]
    django["Environment"]["Variables"] |= variables
    django["Timeout"] = timeout
    version = names["AWS::Lambda::Version"]  # The CDK ends its name with a hash of the function.
    body = json.dumps(template).replace(version, f"{version[:-32]}{time.time_ns():032x}")
    cloud.call(
        "cloudformation",
        "update_stack",
        StackName=STACK,
        TemplateBody=body,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": "BootstrapVersion", "UsePreviousValue": True}],
    )
    while stack_status(cloud).endswith("_IN_PROGRESS"):
        time.sleep(0.2)
    events = cloud.call("cloudformation", "describe_stack_events", StackName=STACK)["StackEvents"]
    return next(
        str(event["ResourceStatusReason"])
        for event in events
        if (event["LogicalResourceId"], event["ResourceStatus"])
        == (names["Custom::DjangoRelease"], "UPDATE_FAILED")
        and event.get("ResourceStatusReason")
    )
