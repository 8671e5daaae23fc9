"""The table of a run: fault, what visitors saw, what was lost, and the time to recovery."""

from collections import Counter
from collections.abc import Iterable

from tests.soak.traffic import WRITES, Outcome, Visit
from tests.soak.verdict import Effect

HEADINGS = (
    *("Fault", "Times", "What visitors saw", "Slowest", "Unknown (stored)", "Lost", "Duplicated"),
    *("Unwanted", "Recovery, at most"),
)


def rows(effects: list[Effect]) -> list[tuple[str, ...]]:
    """Return the cells of a row for each kind of fault, and of one for no fault."""
    kinds: dict[str, list[Effect]] = {}
    for effect in effects:
        kinds.setdefault(effect.injection.fault if effect.injection else "none", []).append(effect)
    return [_row(kind, those) for kind, those in kinds.items()]


def _row(kind: str, effects: list[Effect]) -> tuple[str, ...]:
    visits = [visit for effect in effects for visit in effect.visits]
    seen = Counter(visit.saw for visit in visits if visit.outcome is not Outcome.SUCCEEDED)
    slowest = max((visit.end - visit.begin for visit in visits), default=0)
    unknown = sum(effect.unknown for effect in effects)
    stored = sum(effect.unknown_stored for effect in effects)
    faults = [effect for effect in effects if effect.injection]
    return (
        kind,
        str(len(faults)) if faults else "-",
        ", ".join(f"{number}x {saw}" for saw, number in seen.most_common()) or "nothing",
        f"{slowest:.0f} s" if slowest else "-",
        f"{unknown} ({stored})" if unknown else "0",
        str(sum(len(effect.lost) for effect in effects)),
        str(sum(len(effect.duplicated) for effect in effects)),
        str(sum(len(effect.unwanted) for effect in effects)),
        f"{max(effect.recovery for effect in faults):.1f} s" if faults else "-",
    )


def summary(visits: Iterable[Visit], effects: list[Effect]) -> str:
    """Return a sentence with the number of requests and writes, and one for each problem."""
    visits = list(visits)
    kinds = Counter(visit.kind for visit in visits)
    writes = [visit for visit in visits if visit.kind in WRITES]
    succeeded = sum(visit.outcome is Outcome.SUCCEEDED for visit in writes)
    listed = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    lines = [f"{len(visits)} requests ({listed}), {len(effects) - 1} faults"]
    lines += [f"{len(writes)} writes, {succeeded} of them acknowledged"]
    for effect in effects:
        fault = effect.injection.fault if effect.injection else "no fault"
        for problem in ("lost", "duplicated", "unwanted"):
            names = sorted(getattr(effect, problem))
            lines += [f"{problem.capitalize()} ({fault}): {', '.join(names)}"] if names else []
        if effect.injection is None and not effect.is_clean:
            seen = Counter(f"{visit.kind}: {visit.saw or 'slow'}" for visit in effect.visits)
            lines.append(f"Without a fault: {dict(seen)}")
    return "\n".join(lines)


def text(visits: Iterable[Visit], effects: list[Effect]) -> str:
    """Return the table, in Markdown, and the summary."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *rows(effects)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{summary(visits, effects)}"
