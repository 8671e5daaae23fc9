"""The errors of commands: expected ones are messages with an exit code, others are tracebacks."""

import errno
import signal
from collections.abc import Iterator

import pytest
import typer

from djambda_cli.errors import CliError
from djambda_cli.main import report_errors


@pytest.fixture(autouse=True)
def _termination_handler() -> Iterator[None]:
    """Restore the handler of SIGTERM, which commands replace."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def run(error: BaseException) -> None:
    """Run a command that raises an error."""

    def command() -> None:
        raise error

    report_errors(command)()


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (CliError("It failed. Run [make tools]"), 1, "It failed. Run [make tools]"),
        (CliError("It failed.", output="the [tool]'s output"), 1, "the [tool]'s output"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (typer.Abort(), 130, "Nothing was changed"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "disk is full"),
    ],
)
def test_expected_error_is_a_message(
    error: BaseException, exit_code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as exit_:
        run(error)

    assert exit_.value.exit_code == exit_code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("error", [LookupError("a defect"), PermissionError(errno.EACCES, "file")])
def test_unexpected_error_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        run(error)
