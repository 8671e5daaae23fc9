"""The tables of the benchmarks, rendered as text, Markdown and a chart.

Each benchmark module returns `Table`s. `python -m bench` prints them, and after a complete run
writes `docs/benchmarks.md` and `docs/benchmarks.svg`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from textwrap import fill

NOTHING = "-"
WIDTH = 100


@dataclass(frozen=True)
class Table:
    """One comparison with a row for each tool; lower figures are better.

    `rows` has one figure in `unit` for each column, or None if the tool does not support it. `ours`
    names our row: with `ratios`, the other rows show our figure divided by theirs. `extra` adds a
    cell of text to a row, under the heading `extra_title`. `note` describes the measurement,
    `details` (Markdown only) the tools.
    """

    title: str
    unit: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float | None, ...]]
    ours: str
    note: str
    extra: dict[str, str] = field(default_factory=dict)
    extra_title: str = ""
    ratios: bool = True
    details: dict[str, str] = field(default_factory=dict)


def figure(value: float | None) -> str:
    """Return a number with three significant digits: 0.42, 20.6, 1,234."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size >= 99.95 or value == int(value):  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"  # noqa: PLR2004


def ratio(table: Table, name: str, column: int) -> float | None:
    """Return our figure divided by another; None for our row and for meaningless ratios."""
    ours, theirs = table.rows[table.ours][column], table.rows[name][column]
    if not table.ratios or name == table.ours or ours is None or theirs is None:
        return None
    # An adapter that skips work can have a negative overhead.
    return ours / theirs if ours > 0 and theirs > 0 else None


# Text


def text(table: Table) -> str:
    """Return a table for a terminal, with the ratios in brackets."""
    heading = [f"[{table.unit}]", *table.columns]
    lines = [[name, *_cells(table, name)] for name in table.rows]
    if table.extra:
        heading.append(table.extra_title)
        for line in lines:
            line.append(table.extra.get(line[0], ""))
    widths = [max(map(len, column)) for column in zip(heading, *lines, strict=True)]
    rendered = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [heading, *lines]
    ]
    rule = "─" * max(map(len, rendered))
    heading_line, *row_lines = rendered
    note = fill(table.note, WIDTH)
    return "\n".join([table.title, rule, heading_line, rule, *row_lines, rule, note])


def _cells(table: Table, name: str) -> list[str]:
    return [_cell(table, name, column) for column in range(len(table.columns))]


def _cell(table: Table, name: str, column: int) -> str:
    """Return a figure with its ratio, or with spaces for one, so that the figures align."""
    shares = {other: ratio(table, other, column) for other in table.rows}
    share = shares[name]
    gap = " (0.00)" if any(shares.values()) else ""
    brackets = "" if share is None else f" ({_share(share)})"
    return figure(table.rows[name][column]) + brackets.ljust(len(gap))


def _share(share: float) -> str:
    return f"{share:.2f}" if share < 10 else f"{share:.0f}"  # noqa: PLR2004


# Markdown


def markdown(tables: Iterable[Table], machine: str, versions: str) -> str:
    """Return the page `docs/benchmarks.md`."""
    head = f"""\
# Benchmarks

These benchmarks compare djambda with its peers, on one machine in one run. `make bench` writes
this page and its chart in about ten minutes. `python -m bench adapters` (or `cold-start`, `memory`,
`sizes`, `proxy`, `tasks`) runs and prints one benchmark.

Lower is better in every table. In brackets: our figure divided by this one.

Measured on: {machine}. Packages: {versions}.

![The tables below as bar charts](benchmarks.svg)"""
    return "\n\n".join([head, *(_section(table) for table in tables)]) + "\n"


def _section(table: Table) -> str:
    heading = [table.unit, *table.columns, *([table.extra_title] if table.extra else [])]
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)]]
    for name in table.rows:
        cells = [cell.strip() for cell in _cells(table, name)]
        if table.extra:
            cells.append(table.extra.get(name, ""))
        cells = [name, *cells]
        lines.append([f"**{cell}**" for cell in cells] if name == table.ours else cells)
    parts = [
        f"## {table.title}",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        table.note,
    ]
    items = [f"- {name}: {detail}" for name, detail in table.details.items() if detail]
    if items:
        parts += ["<details>\n<summary>Details</summary>", "\n".join(items), "</details>"]
    return "\n\n".join(parts)


# Chart

PANELS = 2
PANEL = 480
LABEL = 168
BAR = 200
ROW = 20
HEADING = 46
PANEL_HEADING = 30
GAP = 18
LEGEND = 24
LONGEST = 12
"""Bars longer than this many times ours are cut, so that ours remains visible."""

STYLE = """
    svg { --paper: #ffffff; --ink: #1c2723; --soft: #55645d; --bar: #c3cec9; --go: #0f6b52; }
    @media (prefers-color-scheme: dark) {
      svg { --paper: #12181b; --ink: #e9efec; --soft: #a3b2ac; --bar: #46545a; --go: #5ec9a6; }
    }
    text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; fill: var(--soft); }
    .title { font-size: 17px; font-weight: 600; fill: var(--ink); }
    .panel { font-size: 13px; font-weight: 600; fill: var(--ink); }
    .name { text-anchor: end; }
    .ours { font-weight: 600; fill: var(--ink); }
    rect { fill: var(--bar); }
    .go { fill: var(--go); }
    .cut { stroke: var(--paper); stroke-width: 3; }
"""  # noqa: E501 (a line of CSS)


def chart(tables: Iterable[Table]) -> str:
    """Return an SVG, for light and dark pages, with the tables that have ratios as bar charts."""
    legend = "Lower is better. In brackets: our figure divided by this one."
    parts = [f'<text x="20" y="24">{legend}</text>']
    top = LEGEND
    for table in tables:
        if not table.ratios:
            continue
        parts.append(f'<text class="title" x="20" y="{top + 34}">{escape(table.title)}</text>')
        top += HEADING
        height = PANEL_HEADING + ROW * len(table.rows) + GAP
        columns = _comparisons(table)
        for number, column in enumerate(columns):
            left = 20 + PANEL * (number % PANELS)
            place = top + height * (number // PANELS)
            parts.append(
                f'<text class="panel" x="{left}" y="{place + 18}">'
                f"{escape(table.columns[column])}, {escape(table.unit)}</text>"
            )
            parts += _bars(table, column, left, place + PANEL_HEADING)
        top += height * -(-len(columns) // PANELS)
    width = 20 + PANEL * PANELS
    body = "\n  ".join(parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" role="img" aria-labelledby="title">
  <title id="title">Benchmarks: djambda and its peers, lower is better</title>
  <style>{STYLE}  </style>
  <rect width="{width}" height="{top}" style="fill: var(--paper)"/>
  {body}
</svg>
"""  # noqa: E501 (a tag)


def _comparisons(table: Table) -> list[int]:
    """Return the columns with figures of more than one row."""
    return [
        column
        for column in range(len(table.columns))
        if sum(row[column] is not None for row in table.rows.values()) > 1
    ]


def _bars(table: Table, column: int, left: int, top: int) -> Sequence[str]:
    figures = {name: row[column] for name, row in table.rows.items()}
    ours = figures[table.ours] or 0
    longest = max((value for value in figures.values() if value is not None), default=0)
    scale = min(longest, ours * LONGEST) if ours > 0 else longest
    start = left + LABEL
    parts = []
    for number, (name, value) in enumerate(figures.items()):
        place = top + ROW * number
        mine = name == table.ours
        length = BAR * min(max(value or 0, 0) / scale, 1) if scale > 0 else 0
        parts.append(
            f'<text class="name{" ours" * mine}" x="{start - 8}" y="{place + 13}">'
            f"{escape(name)}</text>"
        )
        parts.append(
            f'<rect{' class="go"' * mine} x="{start}" y="{place + 3}" '
            f'width="{max(length, 1):.1f}" height="13" rx="2"/>'
        )
        if value is not None and value > scale:
            parts.append(f'<path class="cut" d="M{start + BAR - 22} {place + 18}l8 -17"/>')
        share = ratio(table, name, column)
        label = figure(value) + ("" if share is None else f" ({_share(share)})")
        parts.append(
            f'<text{' class="ours"' * mine} x="{start + max(length, 1) + 6:.1f}" '
            f'y="{place + 13}">{label}</text>'
        )
    return parts
