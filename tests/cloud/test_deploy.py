"""`djambda deploy`, `diff` and `synth` against the local cloud.

The order counts, to save deploys: the first test changes the site, the second one deploys the
checkout again.
"""

import json
import re
import shlex
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.cloud.checkout import Checkout, constant_visits, live_version, stack_status
from tests.cloud.local import ROOT, Cloud

SITE_CSS = "django/core/static/core/site.css"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A copy of the checkout."""
    return Checkout.copy_to(tmp_path)


def recolour(checkout: Checkout, colour: str) -> None:
    """Change the site, so that everybody sees it."""
    checkout.write(SITE_CSS, (ROOT / SITE_CSS).read_text() + f"body {{ color: {colour} }}\n")


def stylesheet(visitor: httpx.Client) -> str:
    """The address of the page's stylesheet."""
    found = re.search(r'href="(\S+/core/site\.\w+\.css)"', visitor.get("").text)
    assert found
    return found[1]


def test_a_change(cloud: Cloud, checkout: Checkout, visitor: httpx.Client) -> None:
    """Nobody notices but by the new page; a page that is open finds its files."""
    old = stylesheet(visitor)
    old_css = httpx.get(old).text
    recolour(checkout, "rebeccapurple")
    before = live_version(cloud)

    with constant_visits(cloud) as answers:
        deploy = checkout.run(cloud, "deploy --json")

    assert deploy.returncode == 0, deploy.stderr
    version = live_version(cloud)
    assert json.loads(deploy.stdout) == {"url": cloud.site, "version": version, "changed": True}
    assert int(version) > int(before)
    assert re.search(r"\d added, \d changed", deploy.stderr)
    assert set(answers) == {200}
    assert "rebeccapurple" in httpx.get(stylesheet(visitor)).text
    assert httpx.get(old).text == old_css


def hold_release(checkout: Checkout, until: Path) -> None:
    """Have the release's first command wait for a file."""
    name = "django/djambda/management/commands/wait_for_database.py"
    begin = "        started = time.monotonic()\n"
    hold = f"        import pathlib\n        path = pathlib.Path({str(until)!r})\n"
    hold += "        while not path.exists() and time.monotonic() < started + 90:\n"
    hold += "            time.sleep(0.1)\n"
    checkout.write(name, (ROOT / name).read_text().replace(begin, begin + hold))


def test_of_two_deploys_the_second_waits(
    cloud: Cloud, checkout: Checkout, visitor: httpx.Client, tmp_path: Path
) -> None:
    """Somebody else's `cdk deploy` is in its release when the checkout is deployed."""
    here = f"--local --folder {shlex.quote(str(cloud.folder))}"
    go, said = tmp_path / "go", tmp_path / "said"
    recolour(checkout, "hotpink")
    hold_release(checkout, until=go)
    with ThreadPoolExecutor() as pool:
        others = "cdk deploy --app awscdk/app.py --require-approval never"
        first = pool.submit(cloud.shell, others, checkout.folder)
        wait_until(lambda: stack_status(cloud) == "UPDATE_IN_PROGRESS")
        second = pool.submit(cloud.shell, f"djambda deploy {here} 2> {shlex.quote(str(said))}")
        wait_until(lambda: said.exists() and "Synthesis" in said.read_text())
        time.sleep(2)
        assert stack_status(cloud) == "UPDATE_IN_PROGRESS"
        go.touch()

    assert first.result().returncode == 0, first.result().stderr
    assert second.result().returncode == 0, said.read_text()
    assert "Wait for another deploy" in said.read_text()
    version = live_version(cloud)
    assert second.result().stdout == f"  Site      {cloud.site}\n  Version   {version}\n"
    assert "hotpink" not in httpx.get(stylesheet(visitor)).text
    diff = cloud.shell(f"djambda diff --exit-code {here}")
    assert (diff.returncode, diff.stdout) == (0, "")
    assert "is deployed in the local cloud as it is here" in diff.stderr


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again, for two minutes at most."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_data_are_not_replaced_without_asking(cloud: Cloud, checkout: Checkout) -> None:
    database = ROOT / "awscdk/awscdk/database.py"
    changed = database.read_text().replace("storage_encrypted=True", "storage_encrypted=False")
    checkout.write("awscdk/awscdk/database.py", changed)
    before = cloud.call("cloudformation", "list_change_sets", StackName="local-djambda")

    deploy = checkout.run(cloud, "deploy")

    assert (deploy.returncode, deploy.stdout) == (1, "")
    assert "replaced: the database (AWS::RDS::DBCluster DatabaseCluster)" in deploy.stderr
    assert "to agree in a script, --yes" in deploy.stderr
    after = cloud.call("cloudformation", "list_change_sets", StackName="local-djambda")
    assert after["Summaries"] == before["Summaries"]


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        (
            "AWS_ACCOUNT_ID=123456789012",
            "These credentials are of account 000000000000, and AWS_ACCOUNT_ID is 123456789012.",
        ),
        (
            "AWS_REGION=eu-west-1",
            "AWS_REGION says eu-west-1, and AWS_DEFAULT_REGION is us-east-1.",
        ),
    ],
)
def test_another_place_than_the_variables_say(cloud: Cloud, variable: str, said: str) -> None:
    deploy = cloud.shell(f"{variable} djambda deploy")

    assert (deploy.returncode, deploy.stdout) == (1, "")
    assert said in deploy.stderr


def test_synth_prints_the_template(cloud: Cloud, checkout: Checkout) -> None:
    synth = checkout.run(cloud, "synth --json")

    assert synth.returncode == 0, synth.stderr
    assert json.loads(synth.stdout)["Description"] == "djambda: djambda, local"
    written = (checkout.folder / "cdk.out" / "local-djambda.template.json").read_text()
    assert synth.stdout == written
