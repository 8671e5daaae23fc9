"""`djambda deploy`, `diff` and `synth` against the local cloud.

The order counts, to save deploys: the first test changes the site, the second one deploys the
original checkout again.
"""

import json
import re
import shlex
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.cloud.checkout import Checkout
from tests.cloud.local import Cloud
from tests.cloud.visits import constant_visits
from tests.soak.faults import Durations, Target
from tests.soak.report import text
from tests.soak.stored import load
from tests.soak.traffic import WRITES, traffic
from tests.soak.verdict import decide
from tests.support.waiting import wait_until

STYLESHEET = "django/catalog/static/catalog/shop.css"


def recolor(checkout: Checkout, color: str) -> None:
    """Change the stylesheet."""
    checkout.write(STYLESHEET, checkout.read(STYLESHEET) + f"body {{ color: {color} }}\n")


def stylesheet(visitor: httpx.Client) -> str:
    """Return the URL of the home page's stylesheet."""
    link = re.search(r'href="(\S+/catalog/shop\.\w+\.css)"', visitor.get("").text)
    assert link
    return link[1]


MODELS = "django/catalog/models.py"
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]
    operations = [
        migrations.AddField("product", "stock", models.IntegerField(db_default=0)),
        migrations.RunSQL("SELECT pg_sleep(2)"),  # The table is locked meanwhile.
    ]
"""


def add_field(checkout: Checkout) -> None:
    """Add a field to the products, with a default that the old version uses, too."""
    checkout.write("django/catalog/migrations/0002_stock.py", MIGRATION)
    first = "    name = models.CharField(max_length=200)\n"
    assert first in checkout.read(MODELS)
    field = f"{first}    stock = models.IntegerField(db_default=0)\n"
    checkout.write(MODELS, checkout.read(MODELS).replace(first, field))


@pytest.fixture(scope="module")
def target(cloud: Cloud) -> Iterator[Target]:
    """The cloud's database, from which the new field is removed at the end."""
    target = Target(cloud, Durations(unreachable=0, frozen=0))
    yield target
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE catalog_product DROP COLUMN IF EXISTS stock")
        cursor.execute("DELETE FROM django_migrations WHERE name = '0002_stock'")


TOKEN = """a'b" $HOME {{x}} zażółć"""


def token_of(cloud: Cloud, version: str) -> str:
    """Return the project's own secret in a version of the function."""
    command = ["shell", "-v", "0", "-c", "import os; print(os.environ.get('OWN_TOKEN'))"]
    response = cloud.call(
        "lambda",
        "invoke",
        FunctionName=cloud.function,
        Qualifier=version,
        Payload=json.dumps({"manage": command}).encode(),
    )
    return str(json.loads(response["Payload"].read())["output"]).strip()


def test_change(cloud: Cloud, checkout: Checkout, visitor: httpx.Client, target: Target) -> None:
    """No request fails, and pages from before the deploy still find their stylesheet.

    Every write during the deploy, which migrates the table, exists once. The new version has a new
    secret, and the one before does not.
    """
    stored = cloud.shell(f"djambda secret set OWN_TOKEN <<'END'\n{TOKEN}\nEND")
    assert stored.returncode == 0, stored.stderr
    old = stylesheet(visitor)
    old_css = httpx.get(old).text
    recolor(checkout, "rebeccapurple")
    add_field(checkout)
    before = cloud.live_version()

    with (
        constant_visits(cloud) as statuses,
        traffic(cloud, prefix="migrated", clients=3, seed=1) as visitors,
    ):
        deploy = cloud.djambda("deploy --json", checkout=checkout)

    assert deploy.returncode == 0, deploy.stderr
    version = cloud.live_version()
    assert json.loads(deploy.stdout) == {"url": cloud.site, "version": version, "changed": True}
    assert int(version) > int(before)
    assert re.search(r"\d added, \d changed", deploy.stderr)
    assert set(statuses) == {200}
    visits = [visit for visitor in visitors for visit in visitor.visits]
    stored_products = load(cloud, target, "migrated")
    [effect] = decide(visits, [], stored_products)
    assert effect.is_clean, text(visits, [effect])
    assert len(stored_products.rows) > 10
    assert max(visit.end - visit.begin for visit in visits if visit.kind in WRITES) > 1
    assert "rebeccapurple" in httpx.get(stylesheet(visitor)).text
    assert httpx.get(old).text == old_css
    assert (token_of(cloud, before), token_of(cloud, version)) == ("None", TOKEN)
    function = cloud.call("lambda", "get_function_configuration", FunctionName=cloud.function)
    template = cloud.call("cloudformation", "get_template", StackName="local-djambda")
    assert TOKEN not in "".join([stored.stderr, deploy.stderr, repr(function), repr(template)])


def hold_release(checkout: Checkout, until: Path) -> None:
    """Have the release's first command wait for a file."""
    name = "django/djambda/management/commands/wait_for_database.py"
    begin = "        started = time.monotonic()\n"
    hold = f"        import pathlib\n        path = pathlib.Path({str(until)!r})\n"
    hold += "        while not path.exists() and time.monotonic() < started + 90:\n"
    hold += "            time.sleep(0.1)\n"
    assert begin in checkout.read(name)
    checkout.write(name, checkout.read(name).replace(begin, begin + hold))


def test_second_deploy_waits_for_the_first(
    cloud: Cloud, checkout: Checkout, visitor: httpx.Client, tmp_path: Path
) -> None:
    """Deploy the original checkout while another `cdk deploy` is in its release.

    The secret is unset now, but the version that was live before still has it.
    """
    assert cloud.shell("djambda secret unset OWN_TOKEN").returncode == 0
    before = cloud.live_version()
    go, log = tmp_path / "go", tmp_path / "log"
    recolor(checkout, "hotpink")
    hold_release(checkout, until=go)
    cdk = "cdk deploy --app awscdk/app.py --require-approval never"
    djambda = f"djambda deploy {cloud.options} 2> {shlex.quote(str(log))}"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(cloud.shell, cdk, checkout=checkout)
        wait_until(lambda: cloud.stack_status() == "UPDATE_IN_PROGRESS", seconds=120)
        second = pool.submit(cloud.shell, djambda)
        wait_until(lambda: log.exists() and "Synth" in log.read_text(), seconds=120)
        time.sleep(2)
        assert cloud.stack_status() == "UPDATE_IN_PROGRESS"
        go.touch()

    assert first.result().returncode == 0, first.result().stderr
    assert second.result().returncode == 0, log.read_text()
    assert "Wait for another deploy" in log.read_text()
    assert cloud.site in second.result().stdout
    assert cloud.live_version() in second.result().stdout
    assert "hotpink" not in httpx.get(stylesheet(visitor)).text
    tokens = [token_of(cloud, version) for version in (before, cloud.live_version())]
    assert tokens == [TOKEN, "None"]
    diff = cloud.djambda("diff --exit-code")
    assert (diff.returncode, diff.stdout) == (0, "")


def test_data_is_not_replaced_without_consent(cloud: Cloud, checkout: Checkout) -> None:
    database = "awscdk/awscdk/database.py"
    encrypted, unencrypted = "storage_encrypted=True", "storage_encrypted=False"
    assert encrypted in checkout.read(database)
    checkout.write(database, checkout.read(database).replace(encrypted, unencrypted))
    before = cloud.call("cloudformation", "list_change_sets", StackName="local-djambda")

    deploy = cloud.djambda("deploy", checkout=checkout)

    assert (deploy.returncode, deploy.stdout) == (1, "")
    assert "AWS::RDS::DBCluster DatabaseCluster" in deploy.stderr
    assert "--allow-data-loss" in deploy.stderr
    after = cloud.call("cloudformation", "list_change_sets", StackName="local-djambda")
    assert after["Summaries"] == before["Summaries"]


@pytest.mark.parametrize(
    ("variable", "names"),
    [
        ("AWS_ACCOUNT_ID=123456789012", ["000000000000", "123456789012", "AWS_ACCOUNT_ID"]),
        ("AWS_REGION=eu-west-1", ["eu-west-1", "us-east-1", "AWS_DEFAULT_REGION"]),
    ],
)
def test_credentials_of_another_account_or_region(
    cloud: Cloud, variable: str, names: list[str]
) -> None:
    deploy = cloud.shell(f"{variable} djambda deploy")

    assert (deploy.returncode, deploy.stdout) == (1, "")
    for name in names:
        assert name in deploy.stderr


def test_synth_prints_the_template(cloud: Cloud, checkout: Checkout) -> None:
    synth = cloud.djambda("synth --json", checkout=checkout)

    assert synth.returncode == 0, synth.stderr
    assert json.loads(synth.stdout)["Description"] == "djambda: djambda, local"
    assert synth.stdout == checkout.read("cdk.out/local-djambda.template.json")
