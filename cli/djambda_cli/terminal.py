"""Where commands print: results to `stdout`, everything else to `stderr`."""

import sys

from rich.console import Console

UNWRAPPED = 10_000
"""The width without a terminal: a line stays a line for scripts and for copying."""

stdout = Console(highlight=False, width=None if sys.stdout.isatty() else UNWRAPPED)
stderr = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else UNWRAPPED)
