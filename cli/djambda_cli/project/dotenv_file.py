"""Read and write `.env` files. Messages never contain a value."""

import io
import re
from collections.abc import Mapping

from dotenv.parser import parse_stream

from djambda_cli.errors import CliError

PLAIN = re.compile(r"[\w./:@%+,=-]+", re.ASCII)
"""Values that need no quotation marks, not even in a shell."""
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})


def parse(text: str) -> dict[str, str]:
    """Return the variables of a file, the last one of each name. `$` has no special meaning.

    Raises `CliError` with the number of each line that is not NAME=value.
    """
    values: dict[str, str] = {}
    wrong: list[str] = []
    for binding in parse_stream(io.StringIO(text, newline="")):
        before = binding.original.string
        line = binding.original.line + before[: len(before) - len(before.lstrip())].count("\n")
        if binding.error or (binding.key is not None and binding.value is None):
            wrong.append(str(line))
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    if wrong:
        raise CliError(
            f"Nothing was imported. These lines are not NAME=value: {', '.join(wrong)}. Quotation "
            "marks must be closed."
        )
    return values


def render(values: Mapping[str, str]) -> str:
    """Return the text of a file that `parse` reads as these variables.

    Raises `CliError` if the format cannot express a value.
    """
    return "".join(f"{name}={_quoted(name, values[name])}\n" for name in sorted(values))


def _quoted(name: str, value: str) -> str:
    if PLAIN.fullmatch(value):
        return value
    if not set(value) & set("'\\\r"):
        return f"'{value}'"
    if not value.endswith("\\"):
        return f'"{value.translate(ESCAPES)}"'
    # Parsers take a backslash before the closing quotation mark for an escape.
    if parse(f"{name}={value}\n{name}_={value}\n") == {name: value, f"{name}_": value}:
        return value
    raise CliError(
        f"Could not export {name}: a .env file cannot express a value that ends with a backslash "
        "and contains line breaks or spaces at its start. Use `list --json` instead."
    )
