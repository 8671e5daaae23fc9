"""The expected error, which the command line shows as a message without a traceback."""


class CliError(Exception):
    """A message that says what failed, why and what to run; `output` is a tool's output, if any."""

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message)
        self.output = output
