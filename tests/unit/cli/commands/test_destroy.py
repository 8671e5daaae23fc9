"""`djambda destroy`: the lists before the deletion, and its confirmation."""

import pytest

from djambda_cli.commands.destroy import plan, require_name
from djambda_cli.errors import CliError
from djambda_cli.operations.teardown import Inventory
from tests.unit.cli.aws_fakes import deployment

INVENTORY = Inventory(
    clusters=["the-database"], buckets=["the-bucket"], secrets_path="/path", parameters=["/path/x"]
)


def test_ephemeral_deployment_keeps_no_data() -> None:
    deleted, kept = plan(INVENTORY)

    for name in ("the-database", "the-bucket", "/path"):
        assert name in "".join(deleted)
        assert name not in "".join(kept)


def test_protected_deployment_keeps_its_data() -> None:
    flags = {"keeps_snapshots": True, "keeps_buckets": True, "keeps_parameters": True}
    identity = {"kept_identities": ["example.com"]}

    deleted, kept = plan(Inventory(**vars(INVENTORY) | flags | identity))

    assert "the-database" in "".join(deleted)
    for name in ("snapshot", "the-bucket", "/path", "example.com"):
        assert name in "".join(kept)


def test_stack_name_confirms() -> None:
    require_name(deployment(), " dev-shop\n")


@pytest.mark.parametrize("name", ["", "shop"])
def test_without_the_stack_name_nothing_is_deleted(name: str) -> None:
    with pytest.raises(CliError, match=r"Nothing was deleted.*dev-shop"):
        require_name(deployment(), name)
