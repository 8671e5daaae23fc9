"""The one error that the command line shows as a message instead of a traceback."""


class CliError(Exception):
    """What went wrong, where, and what to do about it; `output` is a tool's own words, if any."""

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message)
        self.output = output
