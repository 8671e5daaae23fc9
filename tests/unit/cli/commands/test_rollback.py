"""`djambda rollback`: the choice of a version, the differences, and the move of the alias."""

from typing import Any

import pytest

from djambda_cli.commands import rollback
from djambda_cli.errors import CliError
from djambda_cli.operations.history import require_history
from tests.unit.cli.aws_fakes import (
    THREE,
    FakeClient,
    deployment,
    lambda_client,
    live_history,
    published,
    refusal,
)


@pytest.mark.parametrize(("number", "chosen"), [(None, 2), (4, 4), (2, 2)])
def test_version_to_roll_back_to(number: int | None, chosen: int) -> None:
    assert rollback.choose(live_history(*THREE), number).number == chosen


def test_unknown_version_lists_the_published_ones() -> None:
    with pytest.raises(CliError, match=r"version 9\..* 4, 3, 2"):
        rollback.choose(live_history(*THREE), 9)


def test_no_version_before_the_live_one() -> None:
    with pytest.raises(CliError, match="2 is live"):
        rollback.choose(live_history(*THREE, live="2"), None)


def test_differences_name_variables_without_values() -> None:
    variables = {"RELEASE": "release2", "POSTGRES_USER": "secret-looking"}
    history = live_history(
        published("2", MemorySize=512, Environment={"Variables": variables}, Layers=[]),
        published("3"),
    )

    assert rollback.differences(history.live, history.versions[1]) == [
        "build: release3 -> release2",
        "layer: deps:4 -> none",
        "memory: 1024 MB -> 512 MB",
        "variables: DEBUG, POSTGRES_USER",
    ]
    assert rollback.differences(history.live, history.live) == []


@pytest.mark.parametrize(
    ("live", "target", "words"),
    [("abc", "def", "deployed"), ("none", "def", "deployed"), ("abc", None, "current")],
)
def test_differences_tell_which_values_apply(live: str, target: str | None, words: str) -> None:
    history = live_history(
        *(
            published(number, Environment={"Variables": {"RELEASE": "x", **variables}})
            for number, variables in (
                ("2", {"VARIABLES_SNAPSHOT": target} if target else {}),
                ("3", {"VARIABLES_SNAPSHOT": live}),
            )
        )
    )

    [line] = rollback.differences(history.live, history.versions[1])

    assert words in line
    assert rollback.differences(history.live, history.live) == []


def test_alias_that_has_changed_in_the_meantime_is_not_moved() -> None:
    client: Any = FakeClient(update_alias=refusal("PreconditionFailedException"))

    with pytest.raises(CliError, match=r"changed nothing.*djambda status"):
        rollback.move_alias(deployment(), client, live_history(*THREE).versions[-1], "r1")
    [(_, request)] = client.calls
    assert request == {
        "FunctionName": "dev-shop-djambda-lambda",
        "Name": "live",
        "FunctionVersion": "2",
        "RevisionId": "r1",
    }


def test_alias_for_tasks_moves_too() -> None:
    client: Any = FakeClient(update_alias={})

    rollback.move_alias(deployment(), client, live_history(*THREE).versions[-1], "r1")

    moved = [(request["Name"], request["FunctionVersion"]) for _, request in client.calls]
    assert moved == [("live", "2"), ("tasks", "2")]


def test_project_without_tasks_has_only_one_alias() -> None:
    def update(**request: str) -> Any:
        return refusal("ResourceNotFoundException") if request["Name"] == "tasks" else {}

    client: Any = FakeClient(update_alias=update)

    rollback.move_alias(deployment(), client, live_history(*THREE).versions[-1], "r1")


def test_missing_live_version_names_the_deploy_command() -> None:
    client: Any = lambda_client(get_alias=refusal("ResourceNotFoundException"))

    with pytest.raises(CliError, match=r"dev-shop-djambda-lambda has no live .*djambda deploy"):
        require_history(deployment(), client)
