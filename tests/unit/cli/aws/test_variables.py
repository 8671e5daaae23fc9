"""The id of a snapshot of the project's variables."""

from datetime import UTC, datetime
from typing import Any

import pytest

from djambda_cli.aws.variables import snapshot_id
from tests.unit.cli.aws_fakes import FakeClient

PATH = "/djambda/dev/shop"
COLOR = {
    "Name": f"{PATH}/env/COLOR",
    "Version": 1,
    "LastModifiedDate": datetime(2026, 11, 25, tzinfo=UTC),
}
SIZE = COLOR | {"Name": f"{PATH}/env/SIZE"}


def id_of(*parameters: dict[str, Any]) -> str:
    """Return the id for these parameters, whose values are not requested."""
    client: Any = FakeClient(describe_parameters={"Parameters": list(parameters)})
    found = snapshot_id(client, PATH)
    [(_, request)] = client.calls
    [paths] = request["ParameterFilters"]
    assert paths["Values"] == [f"{PATH}/env", f"{PATH}/secret"]
    return found


def test_order_does_not_matter() -> None:
    assert id_of(COLOR, SIZE) == id_of(SIZE, COLOR)
    assert len(id_of(COLOR)) == 12


@pytest.mark.parametrize(
    "changes",
    [
        {"Version": 2},
        {"Name": f"{PATH}/secret/COLOR"},
        # Deleted and set again.
        {"LastModifiedDate": datetime(2026, 11, 26, tzinfo=UTC)},
    ],
)
def test_each_change_has_another_id(changes: dict[str, Any]) -> None:
    assert id_of(COLOR | changes) != id_of(COLOR)


def test_no_variables() -> None:
    assert id_of() == "none"
