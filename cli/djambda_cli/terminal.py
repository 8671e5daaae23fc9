"""The consoles of all commands: `stdout` for results, `stderr` for everything else."""

import sys

from rich.console import Console

UNWRAPPED = 10_000
"""The width without a terminal: scripts get unwrapped lines."""

stdout = Console(highlight=False, width=None if sys.stdout.isatty() else UNWRAPPED)
stderr = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else UNWRAPPED)
