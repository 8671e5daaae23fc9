"""Reading and writing `.env` files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djambda_cli.errors import CliError
from djambda_cli.project.dotenv_file import parse, render

VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
AWKWARD = st.text(" \t\r\n'\"\\$#{}=a")


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True),
        (VALUES | AWKWARD).filter(lambda value: not value.endswith("\\")),
    )
)
def test_written_variables_are_read_unchanged(values: dict[str, str]) -> None:
    assert parse(render(values)) == values


@pytest.mark.parametrize("value", ["C:\\folder\\", "\\", "a 'b' \"c\" \\"])
def test_backslash_at_the_end(value: str) -> None:
    assert parse(render({"A": value, "B": value, "C": "'\""})) == {
        "A": value,
        "B": value,
        "C": "'\"",
    }


@pytest.mark.parametrize("value", ["hidden\n\\", " hidden\\", "'hidden\\", "hidden #\\"])
def test_value_that_the_format_cannot_express_is_not_shown(value: str) -> None:
    with pytest.raises(CliError, match="NAME") as error:
        render({"NAME": value})
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("# comment\n\nA=1 # one\nexport B = two words \n", {"A": "1", "B": "two words"}),
        ("A='$HOME ${B}'\nB=$A\n", {"A": "$HOME ${B}", "B": "$A"}),
        ('A="x\\ny\n z"\r\nB=\r\n', {"A": "x\ny\n z", "B": ""}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=zażółć 🦄", {"A": "zażółć 🦄"}),
        ("", {}),
    ],
)
def test_syntax(text: str, values: dict[str, str]) -> None:
    assert parse(text) == values


@pytest.mark.parametrize("text", ["A=1\n\nB='hidden\n", "A=1\n\nhidden\n", "A=1\n\nB='x' hidden"])
def test_wrong_line_is_named_without_its_content(text: str) -> None:
    with pytest.raises(CliError, match=r"\b3\b") as error:
        parse(text)
    assert "hidden" not in str(error.value)
