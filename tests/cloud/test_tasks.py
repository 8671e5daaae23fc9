"""Background tasks with real workers, some of which are killed.

The module has a cloud of its own, so that the other tests deploy no queue.
"""

import json
import logging
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest

from djambda_common.names import DJANGO_SUFFIX, FAILED_TASKS_SUFFIX
from tests.cloud.local import Cloud, cloud_folder, processes_in, read_variables, run_down, run_up
from tests.iam.calls import function_arn, load_recording
from tests.iam.simulator import ALLOWED, Request, decide
from tests.support.waiting import wait_until

TASKS = """
import os
import time

from django.tasks import task

from catalog.models import Product


@task
def create(name):
    time.sleep(0.02)
    Product.objects.create(name=name)


@task
def die():
    os._exit(1)


@task
def fail(number):
    raise ValueError(f"no {number}")


@task
def survive(name):
    _, is_first = Product.objects.get_or_create(name=f"{name} has begun")
    if is_first:
        raise ValueError(name)
    time.sleep(5)
    Product.objects.create(name=f"{name} has survived")
"""
OF_QUEUE, OF_EVENTS = 600, 400
STACK = "local-djambda"
ALIAS = function_arn(STACK + DJANGO_SUFFIX, "tasks")
ENQUEUE = f"""
import os
from unittest.mock import patch
from catalog.tasks import create

for number in range({OF_QUEUE}):
    create.enqueue(f"queue {{number}}")
with patch.dict(os.environ, {{"DJAMBDA_TASKS": "direct", "DJAMBDA_TASKS_TARGET": "{ALIAS}"}}):
    for number in range({OF_EVENTS}):
        create.enqueue(f"event {{number}}")
"""
LATER = """
from datetime import timedelta
from django.utils import timezone
from catalog.tasks import create

create.using(run_after=timezone.now() + timedelta(seconds=12)).enqueue("later")
"""
WAITING = ("a message", "an event", "a schedule")
SURVIVE = f"""
import os
from datetime import timedelta
from unittest.mock import patch
from django.utils import timezone
from catalog.tasks import survive

survive.enqueue("a message")
with patch.dict(os.environ, {{"DJAMBDA_TASKS": "direct", "DJAMBDA_TASKS_TARGET": "{ALIAS}"}}):
    survive.enqueue("an event")
survive.using(run_after=timezone.now() + timedelta(seconds=15)).enqueue("a schedule")
"""
ROLLED_BACK = """
from django.db import transaction
from catalog.tasks import create

with transaction.atomic():
    create.enqueue("rolled back")
    transaction.set_rollback(True)
"""
KILLED = """
import os
from django.db import transaction
from catalog.tasks import create

with transaction.atomic():
    transaction.on_commit(lambda: os._exit(1))
    create.enqueue("committed")
"""
AGE_OUTBOX = """
from datetime import timedelta
from django.utils import timezone
from djambda.tasks.models import OutgoingTask

print(OutgoingTask.objects.update(created_at=timezone.now() - timedelta(hours=1)))
"""
COUNT = """
from catalog.models import Product

names = Product.objects.values_list("name", flat=True)
print(len(names), len(set(names)))
"""


@pytest.fixture(scope="module")
def site(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A deployed project with a queue of tasks, one of which is to run later."""
    checkout = cloud.checkout.copy_to(tmp_path_factory.mktemp("tasks") / "checkout")
    checkout.write("django/djambda.toml", 'tasks = "queue"\n')
    checkout.write("django/catalog/tasks.py", TASKS)
    with cloud_folder() as folder:
        done = run_up(folder, "--port", "0", checkout=checkout)
        assert done.returncode == 0, done.stdout + done.stderr
        deployed = Cloud(folder, read_variables(folder), checkout)
        shell(deployed, LATER)
        yield deployed


def shell(site: Cloud, code: str) -> str:
    """Run code in the live version, and return its output."""
    payload = site.manage(["shell", "-v", "0", "-c", code])
    assert "output" in payload, payload
    return str(payload["output"])


def names(site: Cloud, name: str) -> int:
    """Return the number of products with a name."""
    code = (
        f"from catalog.models import Product; print(Product.objects.filter(name={name!r}).count())"
    )
    return int(shell(site, code).split()[-1])


def records(site: Cloud, prefix: str) -> list[str]:
    """Return the names of the objects below a prefix of `tasks/`."""
    bucket = bucket_of(site)
    pages = site.call("s3", "list_objects_v2", Bucket=bucket, Prefix=f"tasks/{prefix}")
    return [each["Key"].rpartition("/")[2] for each in pages.get("Contents", [])]


def bucket_of(site: Cloud) -> str:
    [stack] = site.call("cloudformation", "describe_stacks", StackName=STACK)["Stacks"]
    outputs = {each["OutputKey"]: str(each["OutputValue"]) for each in stack["Outputs"]}
    return outputs["BucketName"]


def record(site: Cloud, task_id: str) -> dict[str, Any]:
    response = site.call("s3", "get_object", Bucket=bucket_of(site), Key=f"tasks/{task_id}.json")
    content: dict[str, Any] = json.loads(response["Body"].read())
    return content


def workers_in(folder: Path) -> list[psutil.Process]:
    """Return the processes of functions."""
    return [
        process
        for process in processes_in(folder)
        if "function_process" in " ".join(process.info["cmdline"] or [])
    ]


def kill_workers(folder: Path, stop: Event, killed: list[int]) -> None:
    """Kill one process of a function after the other."""
    while not stop.wait(0.5):
        if workers := workers_in(folder):
            worker = random.choice(workers)  # noqa: S311
            with suppress(psutil.NoSuchProcess):
                worker.kill()
                killed.append(worker.pid)


def test_no_task_is_lost_while_workers_are_killed(site: Cloud) -> None:
    shell(site, ENQUEUE)
    stop, killed = Event(), list[int]()
    killer = Thread(target=kill_workers, args=(site.folder, stop, killed))
    killer.start()
    time.sleep(4)
    stop.set()
    killer.join()

    def all_ended() -> bool:
        _, different = map(int, shell(site, COUNT).split()[-2:])
        return different + len(records(site, "failed/")) >= OF_QUEUE + OF_EVENTS

    wait_until(all_ended, 60)
    rows, different = map(int, shell(site, COUNT).split()[-2:])
    logging.info("%s workers killed, %s tasks ran twice", len(killed), rows - different)
    assert killed
    assert rows - different <= len(killed)


def test_rolled_back_transaction_sends_nothing(site: Cloud) -> None:
    before = len(records(site, ""))

    shell(site, ROLLED_BACK)

    assert len(records(site, "")) == before
    assert names(site, "rolled back") == 0


def test_process_killed_between_commit_and_sending_loses_nothing(site: Cloud) -> None:
    assert "errorMessage" in site.manage(["shell", "-v", "0", "-c", KILLED])
    assert shell(site, AGE_OUTBOX).split()[-1] == "1"

    for worker in workers_in(site.folder):  # A process looks for such tasks once a minute.
        worker.kill()
    with site.browser() as visitor:
        assert visitor.get("products/").status_code == 200
    wait_until(lambda: names(site, "committed"), 30)


def test_task_that_kills_its_worker_is_kept_as_failed(site: Cloud) -> None:
    alias = {"FunctionName": site.function, "Qualifier": "tasks", "InvocationType": "Event"}
    task = {"id": "killer", "task": "catalog.tasks.die"}
    site.call("lambda", "invoke", **alias, Payload=json.dumps({"task": task}).encode())

    wait_until(lambda: "killer" in records(site, "failed/"), 30)

    assert record(site, "killer")["status"] == "FAILED"
    assert record(site, "killer")["attempts"] == 3
    assert record(site, "killer")["errors"][0]["exception_class"] == "Runtime.ExitError"


def test_task_of_the_queue_that_raises_is_retried_and_kept_as_failed(site: Cloud) -> None:
    enqueue = "from catalog.tasks import fail; print(fail.enqueue(3).id)"
    task_id = shell(site, enqueue).split()[-1]

    wait_until(lambda: task_id in records(site, "failed/"), 30)

    listed = site.djambda("tasks list --json")
    assert task_id in {task["id"] for task in json.loads(listed.stdout)}
    shown = site.djambda(f"tasks show {task_id}")
    assert shown.stdout.count("ValueError: no 3") == 3


def test_task_for_later_has_run(site: Cloud) -> None:
    wait_until(lambda: names(site, "later"), 20)


@pytest.mark.parametrize("suffix", [DJANGO_SUFFIX, FAILED_TASKS_SUFFIX])
def test_roles_allow_the_calls_that_were_made(site: Cloud, suffix: str) -> None:
    recording = load_recording(site.folder)
    calls = {call for call in recording.calls if call.session == STACK + suffix}
    context = {
        "aws:SecureTransport": "true",
        "s3:TlsVersion": "1.3",
        "lambda:SourceFunctionArn": function_arn(STACK + suffix),
    }
    requests = [
        Request(
            call.principal,
            call.action,
            call.resource,
            recording.policies[call.role],
            context=context,
        )
        for call in calls
    ]

    if suffix == DJANGO_SUFFIX:
        assert {call.action for call in calls} >= {"scheduler:CreateSchedule", "sqs:SendMessage"}
    assert requests
    assert set(decide(requests)) == {ALLOWED}, sorted({call.action for call in calls})


def test_tasks_that_wait_survive_down_and_up(site: Cloud) -> None:
    """Last, because the site has another address then, which `site` does not know."""
    shell(site, SURVIVE)
    wait_until(lambda: all(names(site, f"{name} has begun") for name in WAITING[:2]))

    run_down(site.folder)
    done = run_up(site.folder, checkout=site.checkout)

    assert done.returncode == 0, done.stdout + done.stderr
    again = Cloud(site.folder, read_variables(site.folder), site.checkout)
    wait_until(lambda: all(names(again, f"{name} has survived") for name in WAITING))
