"""Find out which parts of an event code reads, so that tests with random events miss none."""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class RecordedEvent(dict[str, Any]):
    """An event that records the path to each field that is read from it."""

    def __init__(
        self, fields: dict[str, Any], reads: set[tuple[str, ...]], path: tuple[str, ...] = ()
    ) -> None:
        super().__init__(
            {
                name: RecordedEvent(value, reads, (*path, name))
                if isinstance(value, dict)
                else value
                for name, value in fields.items()
            }
        )
        self.reads, self.path = reads, path

    def __getitem__(self, name: str) -> Any:
        self.reads.add((*self.path, name))
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, and record the read."""
        self.reads.add((*self.path, name))
        return super().get(name, default)


def header_names(files: Iterable[Path]) -> set[str]:
    """Return the names in calls such as `header(event, "origin")`."""
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    return {
        name.value
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "header"
        for name in node.args[1:]
        if isinstance(name, ast.Constant) and isinstance(name.value, str)
    }
