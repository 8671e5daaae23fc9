"""Two descriptions of a stack: has an operation begun in between?"""

import pytest

from djambda_cli.aws.stacks import has_changed
from tests.unit.cli.stack_fakes import LATER, Item, stack

BEFORE = stack("UPDATE_COMPLETE")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (BEFORE, BEFORE, False),
        (BEFORE, stack("UPDATE_IN_PROGRESS"), True),
        (BEFORE, stack("UPDATE_COMPLETE", LATER), True),
        (BEFORE, stack("UPDATE_COMPLETE", StackId="arn:created-again"), True),
        (BEFORE, None, False),
        (None, None, False),
        (None, stack("REVIEW_IN_PROGRESS"), False),
        (None, stack("CREATE_COMPLETE"), True),
    ],
)
def test_stack_has_changed(before: Item | None, now: Item | None, expected: bool) -> None:
    assert has_changed(before, now) is expected  # type: ignore[arg-type]
