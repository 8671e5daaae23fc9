"""`djambda up` on a folder that has a cloud already, running or stopped."""

import json

from tests.cloud.local import Cloud, log_in, processes_in, run_down, run_up


def test_second_up_changes_nothing(cloud: Cloud) -> None:
    def last_update() -> object:
        stacks = cloud.call("cloudformation", "describe_stacks", StackName="local-djambda")
        return stacks["Stacks"][0]["LastUpdatedTime"]

    # Other tests leave a stack that was rolled back, which the CDK deploys again.
    done = run_up(cloud.folder, checkout=cloud.checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "another version" not in done.stdout
    before = last_update()

    again = run_up(cloud.folder, checkout=cloud.checkout)

    assert again.returncode == 0
    assert last_update() == before
    assert cloud.site in again.stdout


def test_cloud_of_another_version_is_restarted(cloud: Cloud) -> None:
    record = cloud.folder / "running.json"
    before = json.loads(record.read_text())
    record.write_text(json.dumps(before | {"code": "another"}))

    done = run_up(cloud.folder, checkout=cloud.checkout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Stop the cloud of another version" in done.stdout
    assert json.loads(record.read_text())["pid"] != before["pid"]
    with cloud.browser() as visitor:
        assert log_in(visitor, cloud).status_code == 302


def test_data_survives_down_and_up(cloud: Cloud) -> None:
    cloud.manage(["shell", "-c", "User.objects.create_user('survivor')"])

    stopped = run_down(cloud.folder)
    assert stopped.returncode == 0, stopped.stderr
    assert processes_in(cloud.folder) == []
    restarted = run_up(cloud.folder, checkout=cloud.checkout)

    assert cloud.site in restarted.stdout
    assert cloud.variables["DJANGO_SUPERUSER_PASSWORD"] in restarted.stdout
    counted = cloud.manage(
        ["shell", "-c", "print(User.objects.filter(username='survivor').count())"]
    )
    assert counted["output"].endswith("1\n")
