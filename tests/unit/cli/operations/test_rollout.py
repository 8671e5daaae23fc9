"""A deploy: its order of steps, and its end for each state of the stack."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, override

import pytest
from rich.console import Console

from djambda_cli.aws import maintenance, stacks
from djambda_cli.aws.cdk import Cdk
from djambda_cli.errors import CliError
from djambda_cli.operations.confirm import Confirm, confirmation
from djambda_cli.operations.rollout import (
    Rollout,
    render_replaced,
    require_live_code,
    was_overtaken,
)
from djambda_cli.steps import Progress, Steps
from tests.unit.cli.aws_fakes import deployment, live_history, published, refusal
from tests.unit.cli.stack_fakes import (
    LATER,
    STACK_ID,
    STACK_TYPE,
    FakeAws,
    Item,
    changes,
    events,
    stack,
)

PREPARE, EXECUTE = "prepare-change-set", "execute-change-set"
ALLOWED = confirmation(given=True, option="--allow-data-loss")
RESUME, RETRY = f"{EXECUTE} --no-rollback", "direct --no-rollback"

FUNCTION = {
    "Action": "Modify",
    "Replacement": "False",
    "ResourceType": "AWS::Lambda::Function",
    "LogicalResourceId": "DjangoFunction03204FB5",
}
LAYER = {
    "Action": "Modify",
    "Replacement": "True",
    "PolicyAction": "ReplaceAndDelete",
    "ResourceType": "AWS::Lambda::LayerVersion",
    "LogicalResourceId": "DjangoDependencies0A1B2C3D",
}
DATABASE = {
    "Action": "Modify",
    "Replacement": "True",
    "PolicyAction": "ReplaceAndSnapshot",
    "ResourceType": "AWS::RDS::DBCluster",
    "LogicalResourceId": "DatabaseCluster5B53A178",
}


@dataclass(frozen=True)
class FakeCdk(Cdk):
    """Records the methods of its deploys; `failures` are their errors, None for a success."""

    methods: list[str]
    failures: list[CliError | None] = field(default_factory=list)

    @override
    def _run(self, arguments: list[str], progress: Progress, *, failed: str) -> None:
        method = arguments[arguments.index("--method") + 1]
        self.methods.append(f"{method}{' --no-rollback' * ('--no-rollback' in arguments)}")
        if failure := self.failures.pop(0) if self.failures else None:
            raise failure


@dataclass
class Result:
    """A deploy: its printed text, the CDK's methods, the other calls, and its end.

    `changed` is None after an error, which then is in `error` with its `output`.
    """

    printed: str
    methods: list[str]
    calls: list[str]
    changed: bool | None = None
    error: str = ""
    output: str = ""


def deploy(
    described: Sequence[Item | None],
    pages: Mapping[str, list[Item]],
    failures: Sequence[CliError | None] = (),
    *,
    data_loss: Confirm | None = None,
    live: Sequence[str] = ("7",),
) -> Result:
    """Deploy while the stack and the live version change as given."""
    aliases = [{"FunctionVersion": version} for version in live]
    aws = FakeAws(
        list(described), dict(pages), {"get_function_configuration": {}, "get_alias": aliases}
    )
    console = Console(file=io.StringIO(), width=200)
    cdk = FakeCdk(isolated=False, methods=[], failures=list(failures))
    rollout = Rollout(
        aws.deployment(),
        cdk,
        Path("assembly"),
        Steps(console),
        data_loss or confirmation(given=False, option="--allow-data-loss"),
    )
    result = Result("", cdk.methods, [])
    try:
        result.changed = rollout.run()
    except CliError as error:
        result.error, result.output = str(error), error.output
    assert isinstance(console.file, io.StringIO)
    result.printed = console.file.getvalue()
    result.calls = [call.split(" djambda-")[0] for call in aws.calls if call[:4] != "get_"]
    return result


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0)


def test_deploy_with_changes() -> None:
    result = deploy([stack("UPDATE_COMPLETE")], changes(FUNCTION, LAYER))

    assert (result.changed, result.methods, result.calls) == (True, [PREPARE, EXECUTE], [])
    assert "1 changed, 1 replaced" in result.printed


def test_deploy_without_changes_deletes_its_change_set() -> None:
    result = deploy([stack("UPDATE_COMPLETE")], changes())

    assert (result.changed, result.methods) == (False, [PREPARE])
    assert result.calls == ["delete_change_set prod-my-app"]


def test_first_deploy_is_not_rolled_back() -> None:
    result = deploy([None, stack("REVIEW_IN_PROGRESS")], changes({**FUNCTION, "Action": "Add"}))

    assert (result.changed, result.methods) == (True, [PREPARE, RESUME])


def test_deploy_after_a_failed_first_one_resumes_it() -> None:
    result = deploy([stack("CREATE_FAILED")], changes(FUNCTION))

    assert (result.changed, result.methods) == (True, [PREPARE, RESUME])


def test_deploy_without_changes_after_a_failed_first_one_retries_it() -> None:
    result = deploy([stack("CREATE_FAILED")], changes())

    assert (result.changed, result.methods) == (True, [PREPARE, RETRY])


def test_replacement_before_the_first_deploy_finished_is_refused() -> None:
    result = deploy([stack("CREATE_FAILED")], changes(LAYER))

    assert result.methods == [PREPARE]
    assert result.calls == ["delete_change_set prod-my-app"]
    for name in ("prod-my-app", "DjangoDependencies.", "djambda destroy, then djambda deploy"):
        assert name in result.error


def test_replacing_data_needs_confirmation() -> None:
    declined = deploy([stack("UPDATE_COMPLETE")], changes(FUNCTION, DATABASE))
    confirmed = deploy([stack("UPDATE_COMPLETE")], changes(FUNCTION, DATABASE), data_loss=ALLOWED)

    for result in (declined, confirmed):
        assert "replaced: the database (AWS::RDS::DBCluster DatabaseCluster)" in result.printed
    assert declined.methods == [PREPARE]
    assert declined.calls == ["delete_change_set prod-my-app"]
    assert "--allow-data-loss" in declined.error
    assert "--yes" not in declined.error
    assert (confirmed.changed, confirmed.methods) == (True, [PREPARE, EXECUTE])


def test_possible_replacement_of_data_needs_confirmation() -> None:
    possible = {key: DATABASE[key] for key in ("Action", "ResourceType", "LogicalResourceId")}
    possible["Replacement"] = "Conditional"

    with_data = deploy([stack("UPDATE_COMPLETE")], changes(possible))
    without_data = deploy(
        [stack("UPDATE_COMPLETE")], changes(possible | {"ResourceType": "AWS::Lambda::Function"})
    )

    assert "possibly replaced: the database" in with_data.printed
    assert with_data.methods == [PREPARE]
    assert without_data.methods == [PREPARE, EXECUTE]


def test_declined_deploy_restores_the_termination_protection() -> None:
    protected = stack("UPDATE_COMPLETE", EnableTerminationProtection=True)
    unprotected = stack("UPDATE_COMPLETE", EnableTerminationProtection=False)

    result = deploy([protected, unprotected], changes(DATABASE))

    assert result.calls == [
        "delete_change_set prod-my-app",
        f"update_termination_protection {STACK_ID} True",
    ]


def test_empty_stack_of_a_first_deploy_loses_its_protection() -> None:
    """The CDK deletes it, and could not while it is protected."""
    empty = stack("ROLLBACK_COMPLETE", EnableTerminationProtection=True)

    result = deploy([empty, stack("REVIEW_IN_PROGRESS")], changes(FUNCTION))

    assert (result.changed, result.methods) == (True, [PREPARE, RESUME])
    assert result.calls == [f"update_termination_protection {STACK_ID} False"]


@pytest.mark.parametrize("status", ["ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"])
def test_stuck_stack_is_left_alone(status: str) -> None:
    reason = "Cannot delete protected Cluster"

    result = deploy([stack(status, StackStatusReason=reason)], changes())

    assert (result.methods, result.calls, result.output) == ([], [], reason)
    assert "djambda deploy" in result.error


def test_closed_site_remains_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = iter(["secret", ""])
    restored = []
    monkeypatch.setattr(maintenance, "load_digest", lambda *_: next(digests))
    monkeypatch.setattr(maintenance, "set_digest", lambda *values: restored.append(values[-1]))

    result = deploy([stack("UPDATE_COMPLETE")], changes(FUNCTION))

    assert result.changed is True
    assert restored == ["secret"]


# Another deploy at the same time


def test_deploy_waits_for_another_one() -> None:
    busy = stack("UPDATE_IN_PROGRESS")

    result = deploy([busy, busy, stack("UPDATE_COMPLETE", LATER)], changes(FUNCTION))

    assert result.changed is True
    assert "Wait for another deploy" in result.printed


def assert_overtaken(result: Result) -> None:
    for text in ("Another deploy of prod-my-app", "Nothing was changed", "djambda deploy"):
        assert text in result.error


@pytest.mark.parametrize("now", [stack("UPDATE_IN_PROGRESS"), stack("UPDATE_COMPLETE", LATER)])
def test_deploy_overtaken_before_its_change_set_is_executed(now: Item) -> None:
    result = deploy([stack("UPDATE_COMPLETE"), now], changes(FUNCTION))

    assert result.methods == [PREPARE]
    assert result.calls == ["delete_change_set prod-my-app"]
    assert_overtaken(result)


def test_deploy_whose_change_set_is_gone() -> None:
    gone: Any = refusal("ChangeSetNotFound", "ChangeSet [djambda-1] does not exist")

    result = deploy([stack("UPDATE_COMPLETE")], {"describe_change_set": [gone]})

    assert result.methods == [PREPARE]
    assert_overtaken(result)


FAILED = CliError("The deploy failed.", output="the CDK's output")


def test_deploy_overtaken_while_it_is_prepared() -> None:
    result = deploy(
        [stack("UPDATE_COMPLETE"), stack("UPDATE_IN_PROGRESS")], changes(FUNCTION), [FAILED]
    )

    assert result.output == "the CDK's output"
    assert_overtaken(result)


def test_deploy_overtaken_when_its_change_set_is_executed() -> None:
    before = stack("UPDATE_COMPLETE", ChangeSetId="arn:first")
    now = stack("UPDATE_IN_PROGRESS", ChangeSetId="arn:of-another-deploy")

    result = deploy([before, before, now], changes(FUNCTION), [None, FAILED])

    assert result.output == "the CDK's output"
    assert_overtaken(result)


def test_failed_preparation_of_an_unchanged_stack() -> None:
    result = deploy([stack("UPDATE_COMPLETE")], changes(FUNCTION), [FAILED])

    assert (result.error, result.output) == ("The deploy failed.", "the CDK's output")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("arn:first", "arn:other", True),
        ("arn:first", "arn:changeSet/djambda-1/uuid", False),
        ("arn:first", "arn:first", False),  # Another change than that of a change set.
        ("", "", False),
    ],
)
def test_last_executed_change_set_decides_on_overtaken(
    before: str, now: str, expected: bool
) -> None:
    described = (stack("UPDATE_COMPLETE", ChangeSetId=before), stack("", ChangeSetId=now))

    assert was_overtaken(*described, "djambda-1") is expected
    assert was_overtaken(*described, None) is False


# Failures

RELEASE = ("ReleaseRunC2636623", "Custom::DjangoRelease", "UPDATE_FAILED")
FAILED_RELEASE = {
    **changes(FUNCTION),
    "describe_stack_events": events(
        (*RELEASE, "`migrate --no-input` failed with exit code 1:\noops"),
        ("prod-my-app", STACK_TYPE, "UPDATE_IN_PROGRESS", "User Initiated"),
    ),
}


def test_failed_release_is_explained_by_its_output() -> None:
    now = stack("UPDATE_ROLLBACK_COMPLETE", LATER)

    result = deploy([stack("UPDATE_COMPLETE")] * 2 + [now], FAILED_RELEASE, [None, FAILED])

    assert result.output == "`migrate --no-input` failed with exit code 1:\noops"
    assert "rolled back" in result.error
    assert result.calls == []


def test_previous_version_is_live_again_after_a_late_failure() -> None:
    """After a `djambda rollback`, CloudFormation's own rollback selects another version."""
    now = stack("UPDATE_ROLLBACK_COMPLETE", LATER)

    result = deploy(
        [stack("UPDATE_COMPLETE")] * 2 + [now], FAILED_RELEASE, [None, FAILED], live=["6", "7"]
    )

    assert result.calls == [
        f"update_alias prod-my-app-djambda-lambda {alias} 6" for alias in ("live", "tasks")
    ]
    assert "Version 6 is live again" in result.error


def test_failure_without_a_change_is_not_explained_by_older_events() -> None:
    result = deploy([stack("UPDATE_ROLLBACK_COMPLETE")], FAILED_RELEASE, [None, FAILED])

    assert result.output == "the CDK's output"
    assert "Nothing was changed" in result.error


def test_deploy_that_cloudformation_continues_is_left_alone() -> None:
    now = stack("UPDATE_IN_PROGRESS", LATER)

    result = deploy(
        [stack("UPDATE_COMPLETE")] * 2 + [now], changes(FUNCTION), [None, FAILED], live=["6", "7"]
    )

    assert result.calls == []
    assert "djambda status" in result.error


def test_replaced_settings_are_listed() -> None:
    shown = Console(file=io.StringIO(), record=True, width=100)
    shown.print(render_replaced(["DEBUG: a reason", 'STORAGES["default"]: another']))

    text = shown.export_text()
    assert "DEBUG: a reason" in text
    assert 'STORAGES["default"]: another' in text


def template_of(build_id: str) -> dict[str, Any]:
    """A template whose Django function has this build id."""
    django = {
        "FunctionName": "dev-shop-djambda-lambda",
        "Environment": {"Variables": {"RELEASE": build_id}},
    }
    function = "AWS::Lambda::Function"
    return {
        "Resources": {
            "Provider": {"Type": function, "Properties": {"Role": "role"}},
            "Proxy": {"Type": function, "Properties": {"FunctionName": "dev-shop-proxy"}},
            "Django": {"Type": function, "Properties": django},
            "Bucket": {"Type": "AWS::S3::Bucket"},
        }
    }


def test_only_the_live_code_gets_new_variables() -> None:
    live = live_history(published("3")).live

    require_live_code(template_of(live.build_id), deployment(), live)

    with pytest.raises(CliError, match=r"not changed.* version 3.*djambda deploy"):
        require_live_code(template_of("other"), deployment(), live)
