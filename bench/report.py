"""What every benchmark gives back, and how it is shown: as text, as Markdown, as a chart.

The benchmark modules measure and return `Table`s; `python -m bench` prints them, and after a whole
run writes `docs/benchmarks.md` and `docs/benchmarks.svg` with what this module makes of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from textwrap import fill

NOTHING = "-"
WIDTH = 100


@dataclass(frozen=True)
class Table:
    """One comparison: a row for each contestant, lower figures are better.

    `rows` has one figure, in `unit`, for each column; None where the contestant cannot do it.
    `ours` names our row: ratios are ours divided by the contestant's, where `ratios` are of use.
    `extra` adds a cell of text to a contestant, under the heading `extra_title`. `note` says in a
    short paragraph what was measured, `details` (Markdown only) a line about a contestant.
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
    """Three digits, or all before the point: 0.42, 20.6, 1,234."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size >= 99.95 or value == int(value):  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"  # noqa: PLR2004


def ratio(table: Table, name: str, column: int) -> float | None:
    """Ours divided by the contestant's; None for ourselves and where it would say nothing."""
    ours, theirs = table.rows[table.ours][column], table.rows[name][column]
    if not table.ratios or name == table.ours or ours is None or theirs is None:
        return None
    # An adapter that leaves out work can be below zero, which nothing can be divided by.
    return ours / theirs if ours > 0 and theirs > 0 else None


# Text


def text(table: Table) -> str:
    """The table for a terminal; a ratio stands in brackets behind its figure."""
    heading = [f"[{table.unit}]", *table.columns]
    lines = [[name, *_cells(table, name)] for name in table.rows]
    if table.extra:
        heading.append(table.extra_title)
        for line in lines:
            line.append(table.extra.get(line[0], ""))
    widths = [max(map(len, column)) for column in zip(heading, *lines, strict=True)]
    drawn = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [heading, *lines]
    ]
    rule = "─" * max(map(len, drawn))
    return "\n".join([table.title, rule, drawn[0], rule, *drawn[1:], rule, fill(table.note, WIDTH)])


def _cells(table: Table, name: str) -> list[str]:
    return [_cell(table, name, column) for column in range(len(table.columns))]


def _cell(table: Table, name: str, column: int) -> str:
    """Where others have a ratio, its place stays empty, so that the figures stand in a line."""
    shares = {other: ratio(table, other, column) for other in table.rows}
    share = shares[name]
    gap = " (0.00)" if any(shares.values()) else ""
    brackets = "" if share is None else f" ({_share(share)})"
    return figure(table.rows[name][column]) + brackets.ljust(len(gap))


def _share(share: float) -> str:
    return f"{share:.2f}" if share < 10 else f"{share:.0f}"  # noqa: PLR2004


# Markdown


def markdown(tables: Iterable[Table], machine: str, versions: str) -> str:
    """The whole of `docs/benchmarks.md`."""
    head = f"""\
# Benchmarks

Peers side by side, on one machine and in one run. This page and its chart are made by `make bench`,
which takes about ten minutes. `python -m bench adapters` (or `cold-start`, `sizes`, `proxy`)
runs a part of it and only prints.

Lower is better everywhere. In brackets: our figure divided by that one.

Measured on: {machine}. Contestants: {versions}.

![The tables below as bars](benchmarks.svg)"""
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
    listed = [f"- {name}: {detail}" for name, detail in table.details.items() if detail]
    if listed:
        parts += ["<details>\n<summary>Which ones</summary>", "\n".join(listed), "</details>"]
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
"""A bar longer than this many times ours is cut, or ours could not be seen."""

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
    """The tables that have ratios, as bars: an SVG for light and dark pages, a panel a column."""
    parts = ['<text x="20" y="24">Lower is better. In brackets: our figure divided by it.</text>']
    top = LEGEND
    for table in tables:
        if not table.ratios:
            continue
        parts.append(f'<text class="title" x="20" y="{top + 34}">{escape(table.title)}</text>')
        top += HEADING
        height = PANEL_HEADING + ROW * len(table.rows) + GAP
        for number, title in enumerate(table.columns):
            left = 20 + PANEL * (number % PANELS)
            place = top + height * (number // PANELS)
            parts.append(
                f'<text class="panel" x="{left}" y="{place + 18}">{escape(title)}, '
                f"{escape(table.unit)}</text>"
            )
            parts += _bars(table, number, left, place + PANEL_HEADING)
        top += height * -(-len(table.columns) // PANELS)
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
