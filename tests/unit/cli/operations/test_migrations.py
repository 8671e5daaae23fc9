"""The migrations of a version: they come from its code, and show that it starts."""

import io
import json
from typing import Any

import pytest

from djambda_cli.errors import CliError
from djambda_cli.operations import migrations
from tests.unit.cli.aws_fakes import FakeClient, refusal


def response(payload: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"Payload": io.BytesIO(json.dumps(payload).encode())} | more


UNKNOWN_COMMAND = {"errorMessage": "`list_migrations` failed with exit code 1:\nUnknown command"}
BROKEN = {"errorMessage": "No module named 'x'"}


def load(*responses: Any) -> tuple[set[str] | None, list[str]]:
    """Return the migrations of version 3, and the lines of progress."""
    remaining = iter(responses)
    client: Any = FakeClient(invoke=lambda **_: next(remaining))
    progress: list[str] = []
    loaded = migrations.load_migrations(client, "function", 3, progress.append)
    assert client.calls[0][1]["Qualifier"] == "3"
    assert json.loads(client.calls[0][1]["Payload"]) == {"manage": "list_migrations"}
    return loaded, progress


def test_inactive_version_is_activated_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "PAUSE", 0)

    loaded, progress = load(
        refusal("ResourceNotReadyException"), response({"output": "core.0001\nauth.0001\n"})
    )

    assert loaded == {"core.0001", "auth.0001"}
    assert len(progress) == 1


def test_version_that_does_not_start() -> None:
    with pytest.raises(CliError, match="Version 3 does not start") as error:
        load(response(BROKEN, FunctionError="Unhandled"))
    assert error.value.output == "No module named 'x'"


def test_version_without_the_command_starts_but_its_migrations_are_unknown() -> None:
    assert load(response(UNKNOWN_COMMAND, FunctionError="Unhandled")) == (None, [])


@pytest.mark.parametrize(
    ("of_live", "missing"),
    [
        (response({"output": "core.0001\ncore.0002"}), ["core.0002"]),
        (response({"output": "core.0001"}), []),
        (response(BROKEN, FunctionError="Unhandled"), None),
        (response(UNKNOWN_COMMAND, FunctionError="Unhandled"), None),
    ],
    ids=["one more", "the same", "does not start", "predates the command"],
)
def test_migrations_that_only_the_live_version_has(
    of_live: dict[str, Any], missing: list[str] | None
) -> None:
    versions = {"2": response({"output": "core.0001"}), "3": of_live}
    client: Any = FakeClient(invoke=lambda **arguments: versions[arguments["Qualifier"]])

    assert (
        migrations.load_missing_migrations(
            client, "function", live=3, target=2, progress=lambda _: None
        )
        == missing
    )
