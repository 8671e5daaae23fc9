"""What the emulator has accepted survives its end, also if it is killed. It runs without a site."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from djambda_cli.local import emulator_store
from djambda_cli.local.cloud import _emulator_is_ready
from djambda_cli.local.credentials import load_or_create
from djambda_cli.local.ports import choose
from djambda_cli.local.supervisor import EMULATOR, emulator_environment
from djambda_cli.paths import EMULATOR_PYTHON
from tests.cloud.checkout import WORKING_TREE
from tests.cloud.functions import Function, archive, client
from tests.cloud.local import Cloud
from tests.support.waiting import wait_until

HANDLER = """
import time

def handler(event, context):
    print("began", event["name"])
    time.sleep(event["seconds"])
    print("ended", event["name"])
"""
FUNCTION, GROUP = "test", "tasks"
ROLE = "arn:aws:iam::000000000000:role/test"
EVENTS = [f"event {number}" for number in range(6)]
"""More than the emulator processes at the same time."""


@contextmanager
def emulator(folder: Path, end: signal.Signals) -> Iterator[Cloud]:
    """Run the emulator of the cloud in a folder, and end it with a signal."""
    port = choose(folder / "port", requested=0, preferred=0)
    credentials = load_or_create(folder)
    environment = emulator_environment(folder, port, 0, credentials)
    with (folder / "cloud.log").open("ab") as log:
        process = subprocess.Popen(
            [EMULATOR_PYTHON, EMULATOR], env=environment, cwd=folder, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: _emulator_is_ready(port))
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        }
        yield Cloud(folder, variables, WORKING_TREE)
    finally:
        os.kill(process.pid, end)
        try:
            process.wait(30)
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a cloud with a function, a group of schedules, and a queue with messages."""
    with emulator(tmp_path, signal.SIGINT) as cloud:
        cloud.call(
            "lambda",
            "create_function",
            FunctionName=FUNCTION,
            Role=ROLE,
            Handler="module.handler",
            Runtime="python3.13",
            Code={"ZipFile": archive({"module.py": HANDLER})},
            Timeout=60,
        )
        cloud.call("scheduler", "create_schedule_group", Name=GROUP)
        cloud.call("sqs", "create_queue", QueueName="tasks")
        send(cloud, "kept")
        send(cloud, "deleted")
    return tmp_path


def send(cloud: Cloud, body: str) -> None:
    cloud.call("sqs", "send_message", QueueUrl=queue(cloud), MessageBody=body)


def queue(cloud: Cloud) -> str:
    url: str = cloud.call("sqs", "get_queue_url", QueueName="tasks")["QueueUrl"]
    return url


def receive(cloud: Cloud) -> dict[str, str]:
    """Receive all messages of the queue, and return the handles by the bodies."""
    received = cloud.call("sqs", "receive_message", QueueUrl=queue(cloud), MaxNumberOfMessages=10)
    return {message["Body"]: message["ReceiptHandle"] for message in received.get("Messages", [])}


def invoke_later(cloud: Cloud, name: str, seconds: float) -> None:
    cloud.call(
        "lambda",
        "invoke",
        FunctionName=FUNCTION,
        InvocationType="Event",
        Payload=json.dumps({"name": name, "seconds": seconds}).encode(),
    )


def invoke_and_wait(cloud: Cloud, name: str, seconds: float) -> None:
    payload = json.dumps({"name": name, "seconds": seconds}).encode()
    with suppress(BotoCoreError, ClientError), closing(client(cloud, "lambda")) as lambda_:
        lambda_.invoke(FunctionName=FUNCTION, Payload=payload)


def schedule(
    cloud: Cloud, name: str, *, seconds: int, group: str = GROUP, function: str = FUNCTION
) -> None:
    """Schedule an event for once."""
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    cloud.call(
        "scheduler",
        "create_schedule",
        Name=name,
        GroupName=group,
        ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": f"arn:aws:lambda:us-east-1:000000000000:function:{function}",
            "RoleArn": ROLE,
            "Input": json.dumps({"name": name, "seconds": 0}),
        },
    )


def schedules(cloud: Cloud) -> list[str]:
    listed = cloud.call("scheduler", "list_schedules")["Schedules"]
    return [each["Name"] for each in listed]


def lines(cloud: Cloud) -> set[str]:
    """Return what the function has printed."""
    try:
        log = Function(cloud, FUNCTION).messages()
    except ClientError:  # It has not run yet.
        return set()
    return {line.strip() for line in log}


def test_killed_emulator_loses_nothing(folder: Path) -> None:
    with emulator(folder, signal.SIGKILL) as cloud:
        handle = receive(cloud)["deleted"]
        cloud.call("sqs", "delete_message", QueueUrl=queue(cloud), ReceiptHandle=handle)
        send(cloud, "new")
        schedule(cloud, "later", seconds=2)
        schedule(cloud, "of-a-function-that-was-deleted", seconds=2, function="deleted")
        for name in EVENTS:
            invoke_later(cloud, name, seconds=1)

    with emulator(folder, signal.SIGINT) as cloud:
        assert set(receive(cloud)) == {"kept", "new"}
        wanted = {f"ended {name}" for name in (*EVENTS, "later")}
        wait_until(lambda: wanted <= lines(cloud))
        wait_until(lambda: not schedules(cloud))


def test_stopped_emulator_continues_with_what_it_has_interrupted(folder: Path) -> None:
    for file in folder.glob(f"{emulator_store.FILE}*"):
        file.unlink()  # Earlier versions of djambda had none.
    with emulator(folder, signal.SIGINT) as cloud:
        invoke_later(cloud, "long", seconds=6)
        waiting = Thread(target=invoke_and_wait, args=(cloud, "endless", 60))
        waiting.start()
        wait_until(lambda: {"began long", "began endless"} <= lines(cloud))
        cloud.call("scheduler", "create_schedule_group", Name="saved")
    waiting.join()

    with emulator(folder, signal.SIGINT) as cloud:
        cloud.call("scheduler", "get_schedule_group", Name="saved")
        assert set(receive(cloud)) == {"kept", "deleted"}
        wait_until(lambda: "ended long" in lines(cloud))


def test_schedules_are_deleted_with_the_stack_of_their_group(folder: Path) -> None:
    group = {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "of-a-stack"}}
    template = json.dumps({"Resources": {"Group": group}})
    with emulator(folder, signal.SIGINT) as cloud:
        cloud.call("cloudformation", "create_stack", StackName="a-stack", TemplateBody=template)
        wait_until(lambda: cloud.stack_status("a-stack") == "CREATE_COMPLETE")
        schedule(cloud, "later", seconds=3600, group="of-a-stack")
        assert schedules(cloud) == ["later"]

        cloud.call("cloudformation", "delete_stack", StackName="a-stack")

        wait_until(lambda: not schedules(cloud))
