"""What `djambda deploy` and `destroy` decide, and in which order they ask AWS for it."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, override

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from djambda_cli.aws import maintenance, stacks
from djambda_cli.aws.cdk import Cdk
from djambda_cli.aws.stacks import Change
from djambda_cli.commands.deploy import Run, layer_fits, summary
from djambda_cli.commands.destroy import Inventory, remains, remove, take_inventory
from djambda_cli.deployment import Deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations.confirm import confirmation
from djambda_cli.project import layer
from djambda_cli.steps import Progress, Steps

from awscdk.config import Config  # isort: skip  # `deployment` has made it importable.

CONFIG = Config("my-app", "prod", "eu-west-1", aws_account_id="111122223333")
STACK_ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/prod-my-app/1"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 13, tzinfo=UTC)

type Item = dict[str, Any]


def stack(status: str, updated: datetime = NOON, **more: Any) -> Item:
    return {
        "StackName": "prod-my-app",
        "StackId": STACK_ID,
        "StackStatus": status,
        "LastUpdatedTime": updated,
        **more,
    }


def refused(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@dataclass
class FakeAws:
    """Answers `asked` calls: from `pages` by the operation, `stacks` one after the other.

    The last of the stacks stays; None is one that does not exist. `answers` that are lists are
    given one after the other too. All calls are noted in `calls`.
    """

    stacks: list[Item | None]
    pages: dict[str, list[Item]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def describe_stacks(self, **_: Any) -> Item:
        found = self.stacks.pop(0) if len(self.stacks) > 1 else self.stacks[0]
        if found is None:
            raise refused("ValidationError", "Stack with id prod-my-app does not exist")
        return {"Stacks": [found]}

    def get_paginator(self, operation: str) -> Any:
        pages = self.pages.get(operation, [])

        class Paginator:
            def paginate(self, **_: Any) -> Iterator[Item]:
                for page in pages:
                    if isinstance(page, Exception):
                        raise page
                    yield page

        return Paginator()

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append(f"{operation} {' '.join(map(str, arguments.values()))}")
            answer = self.answers.get(operation, {})
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@dataclass(frozen=True)
class FakeDeployment(Deployment):
    """A deployment whose clients all are one fake."""

    aws: FakeAws = field(default_factory=lambda: FakeAws([None]))

    @override
    def client(self, service: str, **_: Any) -> Any:
        return self.aws


@dataclass(frozen=True)
class FakeCdk(Cdk):
    """Notes what it is told; `failures` are its next commands' errors, None for none."""

    said: list[str]
    failures: list[CliError | None] = field(default_factory=list)

    @override
    def _run(self, arguments: list[str], progress: Progress, *, failed: str) -> None:
        method = arguments[arguments.index("--method") + 1]
        self.said.append(f"{method}{' --no-rollback' * ('--no-rollback' in arguments)}")
        if failure := self.failures.pop(0) if self.failures else None:
            raise failure


PREPARE, EXECUTE = "prepare-change-set", "execute-change-set"
GO_ON, RETRY = f"{EXECUTE} --no-rollback", "direct --no-rollback"


def changes(*resources: Item) -> dict[str, list[Item]]:
    """The pages of a change set."""
    return {"describe_change_set": [{"Changes": [{"ResourceChange": each} for each in resources]}]}


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


@dataclass
class Trial:
    """One attempt of a deploy: what it said, what it did, how it ended."""

    said: str
    done: list[str]
    calls: list[str]
    result: bool | str
    output: str = ""


def attempt(
    stacks: Sequence[Item | None],
    pages: Mapping[str, list[Item]],
    failures: Sequence[CliError | None] = (),
    *,
    yes: bool = False,
    served: Sequence[str] = ("7",),
) -> Trial:
    """Deploy once, as the stack and what serves are by and by."""
    alias = [{"FunctionVersion": version} for version in served]
    answers = {"get_function_configuration": {}, "get_alias": alias}
    aws = FakeAws(list(stacks), dict(pages), answers)
    deployment = FakeDeployment(CONFIG, None, aws)
    console = Console(file=io.StringIO(), width=200)
    cdk = FakeCdk(isolated=False, said=[], failures=list(failures))
    run = Run(deployment, cdk, Path("assembly"), Steps(console), confirmation(yes=yes))
    output = ""
    result: bool | str
    try:
        result = run.attempt()
    except CliError as error:
        result, output = str(error), error.output
    assert isinstance(console.file, io.StringIO)
    calls = [call.split(" djambda-")[0] for call in aws.calls if not call.startswith("get_")]
    return Trial(console.file.getvalue(), cdk.said, calls, result, output)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0)


def test_a_deploy_that_changes_something() -> None:
    trial = attempt([stack("UPDATE_COMPLETE")], changes(FUNCTION, LAYER))

    assert (trial.result, trial.done, trial.calls) == (True, [PREPARE, EXECUTE], [])
    assert "1 changed, 1 replaced" in trial.said


def test_a_deploy_without_a_change_leaves_no_change_set() -> None:
    trial = attempt([stack("UPDATE_COMPLETE")], changes())

    assert (trial.result, trial.done) == (True, [PREPARE])
    assert trial.calls == ["delete_change_set prod-my-app"]


def test_a_first_deploy_keeps_what_it_has_made_when_it_fails() -> None:
    added = {**FUNCTION, "Action": "Add"}

    trial = attempt([None, stack("REVIEW_IN_PROGRESS")], changes(added))

    assert (trial.result, trial.done) == (True, [PREPARE, GO_ON])


def test_a_deploy_after_a_first_one_that_failed_goes_on_from_there() -> None:
    trial = attempt([stack("CREATE_FAILED")], changes(FUNCTION))

    assert (trial.result, trial.done) == (True, [PREPARE, GO_ON])


def test_a_deploy_of_the_same_after_a_first_one_that_failed_is_a_retry() -> None:
    trial = attempt([stack("CREATE_FAILED")], changes())

    assert (trial.result, trial.done) == (True, [PREPARE, RETRY])


def test_what_cloudformation_cannot_replace_yet_is_said_before() -> None:
    trial = attempt([stack("CREATE_FAILED")], changes(LAYER))

    assert trial.done == [PREPARE]
    assert trial.calls == ["delete_change_set prod-my-app"]
    assert trial.result == (
        "The first deploy of prod-my-app is not finished, and until then CloudFormation cannot "
        "replace anything: DjangoDependencies. Start again: djambda destroy, then djambda deploy"
    )


def test_data_are_replaced_only_if_somebody_agrees() -> None:
    no = attempt([stack("UPDATE_COMPLETE")], changes(FUNCTION, DATABASE))
    yes = attempt([stack("UPDATE_COMPLETE")], changes(FUNCTION, DATABASE), yes=True)

    for trial in (no, yes):
        assert "replaced: the database (AWS::RDS::DBCluster DatabaseCluster)" in trial.said
    assert no.done == [PREPARE]
    assert no.calls == ["delete_change_set prod-my-app"]
    assert "--yes" in str(no.result)
    assert (yes.result, yes.done) == (True, [PREPARE, EXECUTE])


def test_data_that_are_perhaps_replaced_are_at_stake_too() -> None:
    perhaps = {key: DATABASE[key] for key in ("Action", "ResourceType", "LogicalResourceId")}
    perhaps["Replacement"] = "Conditional"
    harmless = perhaps | {"ResourceType": "AWS::Lambda::Function"}

    at_stake = attempt([stack("UPDATE_COMPLETE")], changes(perhaps))
    not_at_stake = attempt([stack("UPDATE_COMPLETE")], changes(harmless))

    assert "perhaps replaced: the database" in at_stake.said
    assert at_stake.done == [PREPARE]
    assert not_at_stake.done == [PREPARE, EXECUTE]


def test_a_deploy_waits_for_another_one() -> None:
    busy = stack("UPDATE_IN_PROGRESS")

    trial = attempt([busy, busy, stack("UPDATE_COMPLETE", LATER)], changes(FUNCTION))

    assert trial.result is True
    assert "Wait for another deploy" in trial.said


@pytest.mark.parametrize("now", [stack("UPDATE_IN_PROGRESS"), stack("UPDATE_COMPLETE", LATER)])
def test_a_deploy_that_another_one_overtook_begins_again(now: Item) -> None:
    trial = attempt([stack("UPDATE_COMPLETE"), now], changes(FUNCTION))

    assert (trial.result, trial.done) == (False, [PREPARE])


def test_a_deploy_whose_change_set_is_gone_begins_again() -> None:
    gone: Any = refused("ChangeSetNotFound", "ChangeSet [djambda-1] does not exist")

    trial = attempt([stack("UPDATE_COMPLETE")], {"describe_change_set": [gone]})

    assert (trial.result, trial.done) == (False, [PREPARE])


@pytest.mark.parametrize(
    "words",
    [
        "ChangeSet [djambda-1] does not exist",
        "ChangeSet [djambda-1] cannot be executed in its current execution status of [OBSOLETE]",
        f"Stack:{STACK_ID} is in UPDATE_IN_PROGRESS state and can not be updated.",
    ],
)
@pytest.mark.parametrize("step", [0, 1])
def test_a_deploy_that_cloudformation_refuses_for_another_one_begins_again(
    step: int, words: str
) -> None:
    stable = stack("UPDATE_COMPLETE")
    failures = [None, None]
    failures[step] = CliError("The deploy failed.", output=words)  # type: ignore[call-overload]
    states = [stable, *[stable] * step, stack("UPDATE_IN_PROGRESS")]

    trial = attempt(states, changes(FUNCTION), failures)

    assert (trial.result, len(trial.done)) == (False, step + 1)


def events(*happened: tuple[str, str, str, str]) -> list[Item]:
    """The pages of a stack's events, the newest first: resource, type, status, reason."""
    return [
        {
            "StackEvents": [
                {
                    "LogicalResourceId": name,
                    "ResourceType": type_,
                    "ResourceStatus": status,
                    "ResourceStatusReason": reason,
                    "Timestamp": NOON,
                }
            ]
        }
        for name, type_, status, reason in happened
    ]


STACK_TYPE = "AWS::CloudFormation::Stack"
RELEASE = ("ReleaseRunC2636623", "Custom::DjangoRelease", "UPDATE_FAILED")
MESSAGE = "Received response status [FAILED] from custom resource. Message returned: "
FAILED_RELEASE = events(
    ("prod-my-app", STACK_TYPE, "UPDATE_ROLLBACK_COMPLETE", ""),
    ("Alias", "AWS::Lambda::Alias", "UPDATE_FAILED", "Resource update cancelled"),
    (
        *RELEASE,
        f"{MESSAGE}`migrate --no-input` failed with exit code 1:\noops (RequestId: 1e9b1a1c-1c6a)",
    ),
    ("prod-my-app", STACK_TYPE, "UPDATE_IN_PROGRESS", "User Initiated"),
    (*RELEASE, "an older failure"),
)
FAILED = CliError("The deploy failed.", output="noise")


def test_a_release_that_fails_is_told_in_its_own_words() -> None:
    now = stack("UPDATE_ROLLBACK_COMPLETE", LATER)
    pages = {**changes(FUNCTION), "describe_stack_events": FAILED_RELEASE}

    trial = attempt([stack("UPDATE_COMPLETE")] * 2 + [now], pages, [None, FAILED])

    assert trial.output == "`migrate --no-input` failed with exit code 1:\noops"
    assert trial.result == (
        "The deploy failed, and is undone: the version before has been serving all the time, and "
        "still is. Mend what is above, then: djambda deploy"
    )


def test_what_served_before_serves_again_after_a_late_failure() -> None:
    """Also where that is another version than CloudFormation's, since a rollback."""
    now = stack("UPDATE_ROLLBACK_COMPLETE", LATER)
    pages = {**changes(FUNCTION), "describe_stack_events": FAILED_RELEASE}

    trial = attempt(
        [stack("UPDATE_COMPLETE")] * 2 + [now], pages, [None, FAILED], served=["6", "7"]
    )

    assert trial.calls == ["update_alias prod-my-app-djambda-lambda live 6"]
    assert trial.result == (
        "The deploy failed late, and is undone: version 6 serves again. Mend what is above, then: "
        "djambda deploy"
    )


def test_a_deploy_that_is_declined_leaves_the_protection_against_deletion() -> None:
    protected = stack("UPDATE_COMPLETE", EnableTerminationProtection=True)
    unprotected = stack("UPDATE_COMPLETE", EnableTerminationProtection=False)

    trial = attempt([protected, unprotected], changes(DATABASE))

    assert trial.calls == [
        "delete_change_set prod-my-app",
        f"update_termination_protection {STACK_ID} True",
    ]


def test_a_failure_before_the_deploy_is_not_told_as_the_last_deploys() -> None:
    same = stack("UPDATE_ROLLBACK_COMPLETE")
    pages = {**changes(FUNCTION), "describe_stack_events": FAILED_RELEASE}

    trial = attempt([same], pages, [None, FAILED])

    assert trial.output == "noise"
    assert trial.result == "The deploy failed before anything was changed."


def failure_reason(deployment: Deployment, described: Item) -> str | None:
    return stacks.failure_reason(
        deployment.client("cloudformation"),
        deployment.client("logs"),
        described,  # type: ignore[arg-type]
    )


def test_what_another_resource_says_comes_with_its_name() -> None:
    pages = events(("Cluster0A1B2C3D", "AWS::RDS::DBCluster", "CREATE_FAILED", "not on this plan"))
    deployment = FakeDeployment(CONFIG, None, FakeAws([None], {"describe_stack_events": pages}))

    reason = failure_reason(deployment, stack("CREATE_FAILED"))

    assert reason == "AWS::RDS::DBCluster Cluster: not on this plan"


@pytest.mark.parametrize(
    "logged",
    [
        ['{"level": "ERROR", "message": "`migrate` failed:\\nall of it\\nhere"}', '{"type": "x"}'],
        ["START RequestId: 1", "`migrate` failed:", "all of it", "here", "END RequestId: 1"],
    ],
    ids=["JSON, as on AWS", "a line in each event, as in the emulator"],
)
def test_a_reason_that_was_too_long_is_fetched_from_the_log(logged: list[str]) -> None:
    aws = FakeAws(
        [None],
        {
            "describe_stack_events": events((*RELEASE, "`migrate` failed:\n[...]\nhere")),
            "filter_log_events": [{"events": [{"message": line} for line in logged]}],
        },
    )
    deployment = FakeDeployment(CONFIG, None, aws)

    reason = failure_reason(deployment, stack("UPDATE_FAILED"))

    assert reason == "`migrate` failed:\nall of it\nhere"


def test_without_a_log_the_reason_stays_short() -> None:
    gone: Any = refused("ResourceNotFoundException", "The specified log group does not exist.")
    short = "`migrate` failed:\n[...]\nhere"
    aws = FakeAws(
        [None],
        {"describe_stack_events": events((*RELEASE, short)), "filter_log_events": [gone]},
    )
    deployment = FakeDeployment(CONFIG, None, aws)

    assert failure_reason(deployment, stack("ROLLBACK_COMPLETE")) == short


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("ROLLBACK_FAILED", "Start again: djambda destroy, which asks for the stack's name"),
        ("DELETE_FAILED", "Finish it: djambda destroy. Then: djambda deploy"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name"),
    ],
)
def test_a_stack_that_is_stuck_is_left_alone_and_the_way_out_is_told(
    status: str, said: str
) -> None:
    trial = attempt([stack(status, StackStatusReason="Cannot delete protected Cluster")], changes())

    assert (trial.done, trial.calls) == ([], [])
    assert said in str(trial.result)
    assert trial.output == "Cannot delete protected Cluster"


def test_the_empty_shell_of_a_first_deploy_is_taken_away() -> None:
    """The CDK deletes it, and could not while it is protected."""
    shell = stack("ROLLBACK_COMPLETE", EnableTerminationProtection=True)

    trial = attempt([shell, stack("REVIEW_IN_PROGRESS")], changes(FUNCTION))

    assert (trial.result, trial.done) == (True, [PREPARE, GO_ON])
    assert trial.calls == [f"update_termination_protection {STACK_ID} False"]


def test_a_site_that_is_closed_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = iter(["secret", ""])
    put_back = []
    monkeypatch.setattr(maintenance, "load_digest", lambda *_: next(digests))
    monkeypatch.setattr(
        maintenance, "set_digest", lambda *digest: put_back.append(digest[-1])
    )

    trial = attempt([stack("UPDATE_COMPLETE")], changes(FUNCTION))

    assert trial.result is True
    assert put_back == ["secret"]


def test_a_summary_leaves_out_what_stays() -> None:
    assert summary(
        [
            Change("add", "AWS::Lambda::Version", "DjangoVersion"),
            Change("leave", "AWS::Lambda::Version", "DjangoVersion"),
            Change("change", "AWS::Lambda::Function", "Django"),
            Change("leave", "AWS::S3::Bucket", "Assets"),
        ]
    ) == ("1 added, 1 changed, 1 taken out of the stack")


@pytest.mark.parametrize(
    ("account", "variables", "said"),
    [
        ("111122223333", {}, None),
        ("111122223333", {"AWS_REGION": "eu-west-1"}, None),
        ("444455556666", {}, "account 444455556666, but AWS_ACCOUNT_ID"),
        ("111122223333", {"AWS_REGION": "us-east-1"}, "AWS_REGION is us-east-1"),
        ("111122223333", {"AWS_PROFILE": "work"}, "profile work is eu-north-1"),
        ("111122223333", {"AWS_PROFILE": "work", "AWS_REGION": "eu-west-1"}, None),
    ],
)
def test_the_place_has_to_be_that_of_the_variables(
    account: str,
    variables: dict[str, str],
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "config").write_text("[profile work]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    aws = FakeAws([None], answers={"get_caller_identity": {"Account": account}})

    if said is None:
        verify_target(FakeDeployment(CONFIG, None, aws))
    else:
        with pytest.raises(CliError, match=said):
            verify_target(FakeDeployment(CONFIG, None, aws))


def test_in_ci_a_layer_that_is_accepted_is_not_built_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layer, "is_current", lambda _: False)
    monkeypatch.setattr("djambda_cli.commands.deploy.problems", lambda *_: [])
    monkeypatch.delenv("CI", raising=False)
    assert not layer_fits("x86_64")

    monkeypatch.setenv("CI", "true")
    assert layer_fits("x86_64")


TEMPLATE = {
    "Resources": {
        "Database": {"Type": "AWS::RDS::DBCluster", "DeletionPolicy": "Snapshot"},
        "Assets": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
        "Secrets": {
            "Type": "Custom::GeneratedSecrets",
            "Properties": {"Path": "/djambda/prod/my-app", "Keep": "true"},
        },
        "Django": {"Type": "AWS::Lambda::Function"},
        "Gone": {"Type": "AWS::Lambda::Function"},
        "Network": {"Type": "AWS::EC2::VPC"},
    }
}
IN_STACK = [
    {
        "LogicalResourceId": name,
        "PhysicalResourceId": f"the-{name.lower()}",
        "ResourceStatus": "DELETE_COMPLETE" if name == "Gone" else "CREATE_COMPLETE",
    }
    for name in TEMPLATE["Resources"]
]
SECRETS = ["/djambda/prod/my-app/secret-key", "/djambda/prod/my-app/superuser-password"]
INVENTORY = Inventory(
    network="the-network",
    clusters=["the-database"],
    snapshots_stay=True,
    buckets=["the-assets"],
    buckets_stay=True,
    parameters=SECRETS,
    parameters_stay=True,
    others=2,
)


def test_the_inventory_is_what_stack_and_template_say() -> None:
    aws = FakeAws(
        [None],
        {
            "list_stack_resources": [{"StackResourceSummaries": IN_STACK}],
            "get_parameters_by_path": [{"Parameters": [{"Name": name}]} for name in SECRETS],
        },
        {"get_template": {"TemplateBody": TEMPLATE}},
    )

    found = take_inventory(FakeDeployment(CONFIG, None, aws), stack("UPDATE_COMPLETE"))  # type: ignore[arg-type]

    assert found == INVENTORY


def test_what_stays_is_told_with_its_price_and_the_way_to_delete_it() -> None:
    snapshots = [{"DBClusterSnapshots": [{"DBClusterSnapshotIdentifier": "the-last"}]}]
    aws = FakeAws([None], {"describe_db_cluster_snapshots": snapshots})

    stays = remains(FakeDeployment(CONFIG, None, aws), INVENTORY)

    assert [(each.name, each.delete) for each in stays] == [
        (
            "the-last",
            "aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier the-last",
        ),
        ("the-assets", "aws s3 rb --force s3://the-assets"),
        ("/djambda/prod/my-app", f"aws ssm delete-parameters --names {' '.join(SECRETS)}"),
    ]
    assert remains(FakeDeployment(CONFIG, None, aws), Inventory(["db"], others=50)) == []


def delete(
    stacks: list[Item | None], reason: str, *interfaces: Item
) -> tuple[list[str], list[float]]:
    """Delete a stack that ends in these states; the calls, and the pauses between two tries.

    `interfaces` are what is in its network.
    """
    why = events(
        ("prod-my-app", STACK_TYPE, "DELETE_FAILED", "The following resource(s) failed: [Group]."),
        ("Group", "AWS::EC2::SecurityGroup", "DELETE_FAILED", reason),
        ("prod-my-app", STACK_TYPE, "DELETE_IN_PROGRESS", "User Initiated"),
    )
    there = {"describe_network_interfaces": {"NetworkInterfaces": list(interfaces)}}
    aws = FakeAws(stacks, {"describe_stack_events": why}, there)
    pauses: list[float] = []
    remove(
        FakeDeployment(CONFIG, None, aws),
        stack("UPDATE_COMPLETE", EnableTerminationProtection=True),  # type: ignore[arg-type]
        INVENTORY,
        Steps(Console(file=io.StringIO())),
        sleep=pauses.append,
    )
    return aws.calls, [pause for pause in pauses if pause]


def test_the_protections_go_before_the_stack() -> None:
    calls, pauses = delete([stack("DELETE_IN_PROGRESS"), stack("DELETE_COMPLETE")], "")

    assert calls == [
        f"update_termination_protection {STACK_ID} False",
        "modify_db_cluster the-database False True",
        f"delete_stack {STACK_ID}",
    ]
    assert pauses == []


DEPENDENT = "resource sg-1 has a dependent object"


def test_the_deletion_waits_for_lambdas_network_interfaces() -> None:
    failed, gone = stack("DELETE_FAILED"), stack("DELETE_COMPLETE")

    lambdas = {"NetworkInterfaceId": "eni-1", "InterfaceType": "lambda"}

    calls, pauses = delete([failed, failed, gone], DEPENDENT, lambdas)

    assert [call for call in calls if "delete_stack" in call] == [f"delete_stack {STACK_ID}"] * 3
    assert pauses == [60, 60]


def test_the_deletion_does_not_wait_for_what_is_not_lambdas() -> None:
    restored = {
        "NetworkInterfaceId": "eni-2",
        "InterfaceType": "interface",
        "Description": "RDSNetworkInterface",
    }

    with pytest.raises(CliError, match=r"Remove eni-2 \(RDSNetworkInterface\), then") as raised:
        delete([stack("DELETE_FAILED")], DEPENDENT, restored)

    assert DEPENDENT in raised.value.output


def test_a_deletion_that_something_else_stops_says_what() -> None:
    with pytest.raises(CliError, match="is deleted in part only") as raised:
        delete([stack("DELETE_FAILED")], "You are not authorized")

    assert raised.value.output == "AWS::EC2::SecurityGroup Group: You are not authorized"
