"""The benchmarks' tables as text, Markdown and chart, and the checks of our adapter."""

from xml.etree import ElementTree

import pytest
from bench.correctness import check
from bench.peers import ADAPTERS, OURS
from bench.report import Table, chart, figure, markdown, ratio, text

SPEED = Table(
    title="Speed",
    unit="ms",
    columns=("cold", "warm"),
    rows={"ours": (105.3, 1.4), "theirs": (468.0, None), "lazy <one>": (9000.0, -0.5)},
    ours="ours",
    note="All of them, once.",
    extra={"ours": "5/5", "theirs": "3/5"},
    extra_title="correct",
)
CORRECTNESS = Table(
    title="Correctness",
    unit="failed checks",
    columns=("path",),
    rows={"ours": (0.0,), "theirs": (2.0,)},
    ours="ours",
    note="Checks of the input.",
    ratios=False,
    details={"ours": "", "theirs": "path: a; path: b"},
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.4242, "0.42"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (20.64, "20.6"),
        (99.96, "100"),
        (1234.5, "1,234"),
        (-3.21, "-3.21"),
    ],
)
def test_figures_have_three_significant_digits(value: float | None, shown: str) -> None:
    assert figure(value) == shown


def test_ratio_is_our_figure_divided_by_theirs() -> None:
    ratios = {name: [ratio(SPEED, name, column) for column in (0, 1)] for name in SPEED.rows}

    assert ratios == {
        "ours": [None, None],
        "theirs": [105.3 / 468, None],
        "lazy <one>": [105.3 / 9000, None],
    }


def test_table_as_text() -> None:
    assert text(SPEED).splitlines() == [
        "Speed",
        "─" * 40,
        "[ms]                cold   warm  correct",
        "─" * 40,
        "ours          105          1.40      5/5",
        "theirs        468 (0.23)      -      3/5",
        "lazy <one>  9,000 (0.01)  -0.50",
        "─" * 40,
        "All of them, once.",
    ]


def test_tables_as_a_page() -> None:
    page = markdown([SPEED, CORRECTNESS], "a machine", "django 6")

    assert "Measured on: a machine. Packages: django 6." in page
    assert (
        page.partition("## Speed")[2]
        == """

| ms | cold | warm | correct |
| --- | ---: | ---: | ---: |
| **ours** | **105** | **1.40** | **5/5** |
| theirs | 468 (0.23) | - | 3/5 |
| lazy <one> | 9,000 (0.01) | -0.50 |  |

All of them, once.

## Correctness

| failed checks | path |
| --- | ---: |
| **ours** | **0** |
| theirs | 2 |

Checks of the input.

<details>
<summary>Details</summary>

- theirs: path: a; path: b

</details>
"""
    )


def test_chart_has_a_bar_for_every_figure_of_tables_with_ratios() -> None:
    drawing = ElementTree.fromstring(chart([SPEED, CORRECTNESS]))  # noqa: S314 (our own)
    svg = "{http://www.w3.org/2000/svg}"
    texts = [element.text for element in drawing.iter(f"{svg}text")]
    bars = [float(element.attrib["width"]) for element in drawing.iter(f"{svg}rect")][1:]

    assert texts == [
        "Lower is better. In brackets: our figure divided by this one.",
        "Speed",
        *["cold, ms", "ours", "105", "theirs", "468 (0.23)", "lazy <one>", "9,000 (0.01)"],
        *["warm, ms", "ours", "1.40", "theirs", "-", "lazy <one>", "-0.50"],
    ]
    # The longest bar is cut at twelve times ours; the shortest is as wide as a line.
    assert bars == [16.7, 74.1, 200, 200, 1, 1]


def test_our_adapter_passes_every_check_of_the_benchmark() -> None:
    assert [name for name, passed in check(ADAPTERS[OURS]) if not passed] == []
