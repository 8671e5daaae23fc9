"""`djambda rollback`: the choice of a version, its migrations, and the move of the alias."""

import io
import json
from typing import Any

import pytest

from djambda_cli.commands import rollback
from djambda_cli.errors import CliError
from djambda_cli.operations.history import require_history
from tests.unit.cli.aws_fakes import (
    THREE,
    FakeClient,
    deployment,
    lambda_,
    live_history,
    published,
    refusal,
)


@pytest.mark.parametrize(("asked", "number"), [(None, 2), (4, 4), (2, 2)])
def test_the_version_to_go_to(asked: int | None, number: int) -> None:
    assert rollback.chosen(live_history(*THREE), asked).number == number


def test_a_version_that_is_not_there() -> None:
    with pytest.raises(CliError, match=r"There is no version 9\. There are: 4, 3, 2"):
        rollback.chosen(live_history(*THREE), 9)


def test_no_version_before() -> None:
    with pytest.raises(CliError, match="there is none before it"):
        rollback.chosen(live_history(*THREE, live="2"), None)


def test_what_is_different_is_told_without_values() -> None:
    variables = {"RELEASE": "release2", "POSTGRES_USER": "secret-looking"}
    past = live_history(
        published("2", MemorySize=512, Environment={"Variables": variables}, Layers=[]),
        published("3"),
    )

    assert rollback.differences(past.live, past.versions[1]) == [
        "code: release3 becomes release2",
        "layer: deps:4 becomes none",
        "memory: 1024 MB becomes 512 MB",
        "variables: DEBUG, POSTGRES_USER",
    ]
    assert rollback.differences(past.live, past.live) == []


def answer(payload: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"Payload": io.BytesIO(json.dumps(payload).encode())} | more


def ask_migrations(*answers: Any) -> tuple[set[str] | None, list[str]]:
    """What the version says, and what the person saw meanwhile."""
    remaining = iter(answers)
    client = FakeClient(invoke=lambda **_: next(remaining))
    told: list[str] = []
    target = live_history(*THREE).live
    found = rollback.migrations_of(deployment(), client, target, told.append)  # type: ignore[arg-type]
    assert client.asked[0][1]["Qualifier"] == "3"
    return found, told


def test_migrations_come_from_the_code_of_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback, "PAUSE", 0)
    asleep = refusal("ResourceNotReadyException")

    assert ask_migrations(asleep, answer({"output": "core.0001 auth.0001\n"})) == (
        {"core.0001", "auth.0001"},
        ["Lambda gets it ready"],
    )


def test_a_version_that_does_not_start() -> None:
    broken = answer({"errorMessage": "No module named 'x'"}, FunctionError="Unhandled")

    with pytest.raises(CliError, match="Version 3 does not start") as error:
        ask_migrations(broken)
    assert error.value.output == "No module named 'x'"


def test_a_version_that_starts_but_cannot_tell() -> None:
    failed = answer({"errorMessage": "`shell -c x` failed"}, FunctionError="Unhandled")

    assert ask_migrations(failed) == (None, [])


def test_the_alias_moves_only_from_where_it_was_seen() -> None:
    client = FakeClient(update_alias=refusal("PreconditionFailedException"))

    with pytest.raises(CliError, match="Somebody else has changed"):
        rollback.move(deployment(), client, live_history(*THREE).versions[-1], "r1")  # type: ignore[arg-type]
    [(_, asked)] = client.asked
    assert asked == {
        "FunctionName": "dev-shop-djambda-lambda",
        "Name": "live",
        "FunctionVersion": "2",
        "RevisionId": "r1",
    }


def test_without_a_live_version_a_deploy_is_named() -> None:
    client: Any = lambda_(get_alias=refusal("ResourceNotFoundException"))

    with pytest.raises(CliError, match=r"dev-shop-djambda-lambda has no live .*djambda deploy"):
        require_history(deployment(), client)
