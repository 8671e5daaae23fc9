"""`djambda tasks`: listing, showing and retrying tasks."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from djambda_cli.aws.tasks import LISTED
from djambda_cli.commands import tasks as command
from djambda_cli.commands.tasks import Action, render_list, render_task, usage_problem
from djambda_cli.main import app
from djambda_cli.operations.tasks import last_change, last_error
from djambda_common.task_record import Record, add_error, failed_key, new_record, record_key
from tests.unit.cli.aws_fakes import FakeClient, FakeDeployment, deployment, refusal

NOW = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)
TRACEBACK = "Traceback (most recent call last):\n  File ...\nValueError: no polls\n"


def record(task_id: str = "abc", *, failed: bool = True) -> Record:
    """A task that has failed once, and finally if it is `failed`."""
    fields = {
        "task": "polls.tasks.close_polls",
        "args": [3],
        "enqueued_at": "2026-11-26T10:00:00+00:00",
        "attempts": 3,
    }
    made = new_record(task_id, fields)
    error = {
        "exception_class": "builtins.ValueError",
        "traceback": TRACEBACK,
        "at": "2026-11-26T10:25:00+00:00",
        "request_id": "the-request",
    }
    add_error(made, error, is_last=failed)
    return made


class Bucket(FakeClient):
    """A bucket with records of tasks, and markers of those that have failed."""

    def __init__(self, *stored: Record) -> None:
        self.objects = {record_key(each["id"]): json.dumps(each).encode() for each in stored}
        for each in stored:
            if each["status"] == "FAILED":
                self.objects[failed_key(each["id"])] = b""
        super().__init__(get_object=self.get, list_objects_v2=self.list)

    def get(self, *, Key: str, **_: str) -> Any:  # noqa: N803
        """Return an object."""
        found = self.objects.get(Key)
        return refusal("NoSuchKey") if found is None else {"Body": BytesIO(found)}

    def list(self, *, Prefix: str, **_: str) -> Any:  # noqa: N803
        """Return the objects right below a prefix; later ones are newer."""
        names = [
            name
            for name in self.objects
            if name.startswith(Prefix) and "/" not in name.removeprefix(Prefix)
        ]
        return {
            "Contents": [
                {"Key": name, "LastModified": NOW + timedelta(seconds=number)}
                for number, name in enumerate(names)
            ]
        }


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    """The deployment on which commands work; its bucket has three tasks."""
    outputs = [{"OutputKey": "BucketName", "OutputValue": "the-bucket"}]
    stack = {"StackName": "dev-shop", "StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}
    made = deployment(
        cloudformation=FakeClient(describe_stacks={"Stacks": [stack]}),
        s3=Bucket(record("older"), record("newer"), record("fine", failed=False)),
        **{"lambda": FakeClient(get_alias={}, invoke={})},
    )
    monkeypatch.setattr(command, "use_deployment", lambda **_: made)
    monkeypatch.setattr(command, "verify_target", lambda _: None)
    monkeypatch.setattr("djambda_cli.main.require_project", lambda: None)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["tasks", *arguments])


def retried(target: FakeDeployment) -> list[str]:
    return [
        json.loads(arguments["Payload"])["task"]["retry"]
        for operation, arguments in target.clients["lambda"].calls
        if operation == "invoke"
        and (arguments["Qualifier"], arguments["InvocationType"]) == ("tasks", "Event")
    ]


@pytest.mark.usefixtures("target")
class TestList:
    def test_failed_tasks_are_listed_newest_first(self) -> None:
        listed = json.loads(run("list", "--json").stdout)

        assert [each["id"] for each in listed] == ["newer", "older"]
        assert listed[0] == record("newer")

    def test_all_tasks(self) -> None:
        listed = json.loads(run("list", "--all", "--json").stdout)

        assert {each["id"] for each in listed} == {"newer", "older", "fine"}

    def test_table(self) -> None:
        done = run("list")

        assert done.exit_code == 0
        assert "polls.tasks.close_polls" in done.stdout

    def test_no_failed_task(self, target: FakeDeployment) -> None:
        target.clients["s3"] = Bucket()

        assert json.loads(run("list", "--json").stdout) == []
        assert "No task has failed" in run("list").stderr

    def test_record_that_has_expired_is_left_out(self, target: FakeDeployment) -> None:
        del target.clients["s3"].objects[record_key("newer")]

        assert [each["id"] for each in json.loads(run("list", "--json").stdout)] == ["older"]

    def test_long_list_is_cut(self, target: FakeDeployment) -> None:
        target.clients["s3"] = Bucket(*(record(f"t{number}") for number in range(LISTED + 1)))

        assert len(json.loads(run("list", "--json").stdout)) == LISTED
        assert f"{LISTED} of {LISTED + 1}" in run("list").stderr


@pytest.mark.usefixtures("target")
class TestShow:
    def test_json_is_the_record(self) -> None:
        assert json.loads(run("show", "newer", "--json").stdout) == record("newer")

    def test_page_has_the_traceback(self) -> None:
        assert TRACEBACK.strip() in run("show", "newer").stdout

    @pytest.mark.parametrize("task_id", ["unknown", "../runs/a"])
    def test_unknown_id(self, task_id: str) -> None:
        done = run("show", task_id)

        assert done.exit_code == 1
        assert task_id in done.stderr
        assert "djambda tasks list --all" in done.stderr


class TestRetry:
    def test_one(self, target: FakeDeployment) -> None:
        done = run("retry", "older")

        assert (done.exit_code, retried(target)) == (0, ["older"])
        assert "djambda tasks show older" in done.stderr

    def test_all_failed(self, target: FakeDeployment) -> None:
        done = run("retry", "--all-failed", "--yes", "--json")

        assert json.loads(done.stdout) == {"retried": ["newer", "older"]}
        assert retried(target) == ["newer", "older"]

    def test_all_failed_needs_consent(self, target: FakeDeployment) -> None:
        done = run("retry", "--all-failed")

        assert done.exit_code == 1
        assert "--yes" in done.stderr
        assert retried(target) == []

    def test_task_that_has_not_failed(self, target: FakeDeployment) -> None:
        done = run("retry", "fine")

        assert (done.exit_code, retried(target)) == (1, [])
        assert "READY" in done.stderr

    def test_unknown_id(self, target: FakeDeployment) -> None:
        assert (run("retry", "unknown").exit_code, retried(target)) == (1, [])

    def test_nothing_has_failed(self, target: FakeDeployment) -> None:
        target.clients["s3"] = Bucket()
        done = run("retry", "--all-failed")

        assert done.exit_code == 0
        assert "No task has failed" in done.stderr


@pytest.mark.parametrize("arguments", [("list",), ("show", "abc"), ("retry", "abc")])
def test_deployment_without_tasks(target: FakeDeployment, arguments: tuple[str, ...]) -> None:
    missing = refusal("ResourceNotFoundException")
    target.clients["lambda"] = FakeClient(get_alias=missing)

    done = run(*arguments)

    assert done.exit_code == 1
    assert 'tasks = "direct"' in done.stderr


@pytest.mark.parametrize(
    ("action", "task_id", "everything", "all_failed", "problem"),
    [
        (Action.LIST, "", True, False, ""),
        (Action.LIST, "abc", False, False, "`list` takes no id"),
        (Action.LIST, "", False, True, "--all-failed belongs to"),
        (Action.SHOW, "", False, False, "Give the id"),
        (Action.SHOW, "abc", True, False, "--all belongs to"),
        (Action.RETRY, "", False, False, "Give the id of a task, or --all-failed"),
        (Action.RETRY, "abc", False, True, "Give the id of a task, or --all-failed"),
        (Action.RETRY, "", False, True, ""),
    ],
)
def test_usage(
    action: Action, task_id: str, everything: bool, all_failed: bool, problem: str
) -> None:
    found = usage_problem(action, task_id, everything=everything, all_failed=all_failed)

    assert found.startswith(problem)
    assert bool(found) is bool(problem)


def test_rows() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render_list([record(), new_record("new", {})], NOW))

    _, first, second = capture.get().splitlines()
    for text in ("abc", "polls.tasks.close_polls", "failed", "5 minutes ago", "3"):
        assert text in first
    assert first.rstrip().endswith("ValueError: no polls")
    assert "unknown" in second


def test_page() -> None:
    page = render_task(record(), NOW).plain

    for text in ("abc", "[3]", "builtins.ValueError, 5 minutes ago (10:25), request the-request"):
        assert text in page


@pytest.mark.parametrize(
    ("traceback", "line"),
    [(TRACEBACK, "ValueError: no polls"), ("", "builtins.ValueError"), ("killed", "killed")],
)
def test_last_error(traceback: str, line: str) -> None:
    failed = record()
    failed["errors"][-1]["traceback"] = traceback

    assert last_error(failed) == line


def test_last_change_is_that_of_the_state() -> None:
    assert last_change(record()) == datetime(2026, 11, 26, 10, 25, tzinfo=UTC)
    assert last_change(record(failed=False)) == datetime(2026, 11, 26, 10, tzinfo=UTC)
    assert last_change(new_record("new", {})) is None
