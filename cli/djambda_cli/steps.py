"""Progress of a long command on the terminal: one line per step, with a tick and its time.

On a terminal the running step has a spinner and the last line of its output; in a log each finished
step is one plain line.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.text import Text

from djambda_cli.errors import CliError

type Progress = Callable[[str], None]


class Steps:
    """Prints steps to `console` when they end."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def step(self, label: str) -> Iterator[Progress]:
        """Time a block; yield a function that shows a line of progress next to the label.

        A `CliError` or an interruption in the block marks the step as failed and propagates.
        """
        begin = time.monotonic()
        with self.console.status(escape(label)) as status:
            try:
                yield lambda line: _show(status, label, line, self.console.width)
            except BaseException as error:
                status.stop()
                if isinstance(error, CliError | KeyboardInterrupt):
                    self.console.print(f"  [red]✗[/red] {escape(label)}", highlight=False)
                raise
        seconds = time.monotonic() - begin
        self.console.print(
            f"  [green]✓[/green] {escape(label):<36}[dim]{seconds:6.1f} s[/dim]", highlight=False
        )


def _show(status: Status, label: str, line: str, width: int) -> None:
    text = Text.assemble(label, "  ", (line.strip(), "dim"))
    text.truncate(max(20, width - 6), overflow="ellipsis")
    status.update(text)
