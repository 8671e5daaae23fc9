"""`djambda schedules`: its usage and its table."""

import pytest
from rich.console import Console

from djambda_cli.commands.schedules import Action, render_schedules, usage_problem
from tests.unit.cli.operations.test_schedules import NOW, last, schedule


def test_table() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render_schedules([schedule(last=last(exit_code=3)), schedule()], NOW))

    _, first, second = capture.get().splitlines()
    for text in ("clear", "clearsessions", "Europe/Warsaw", "2026-11-27 02:00", "exit code 3"):
        assert text in first
    assert "not run yet" in second


@pytest.mark.parametrize(
    ("action", "name", "as_json", "problem"),
    [
        (Action.RUN, "", False, "Name the schedule"),
        (Action.RUN, "clear", True, "--json belongs to"),
        (Action.LIST, "clear", False, "`list` takes no name"),
        (Action.LIST, "", True, ""),
        (Action.RUN, "clear", False, ""),
    ],
)
def test_usage(action: Action, name: str, as_json: bool, problem: str) -> None:
    found = usage_problem(action, name, as_json=as_json)

    assert found.startswith(problem)
    assert bool(found) is bool(problem)
