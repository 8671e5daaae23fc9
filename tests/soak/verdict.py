"""The verdict about a run: what the visitors were told against what exists.

- A write that succeeded exists once, with its picture unchanged.
- A write that was refused does not exist. One whose outcome is unknown to the visitor exists at
  most once.
- A session that was given is still valid.
- Every other response than the expected one has a fault behind it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.soak.stored import Stored
from tests.soak.traffic import WRITES, Outcome, Visit

GRACE = 2.0
"""Seconds after a fault in which a request may still suffer from it."""

SLOW = 5.0
"""Seconds from which a response counts as affected."""


@dataclass(frozen=True)
class Injection:
    """A fault with its times (`time.monotonic`)."""

    fault: str
    begin: float
    end: float


@dataclass
class Effect:
    """The effects of one fault, or of none."""

    injection: Injection | None
    visits: list[Visit] = field(default_factory=list)
    """Those that failed or were slow."""
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unwanted: list[str] = field(default_factory=list)
    """Writes that exist although they were refused, and pictures without a row or a visitor."""
    unknown: int = 0
    unknown_stored: int = 0

    @property
    def recovery(self) -> float:
        """The seconds from the fault's beginning until the last affected response."""
        assert self.injection
        return max((visit.end - self.injection.begin for visit in self.visits), default=0.0)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong. Without a fault, every failed response is."""
        unexplained = self.injection is None and any(
            visit.outcome is not Outcome.SUCCEEDED for visit in self.visits
        )
        return not (self.lost or self.duplicated or self.unwanted or unexplained)


def decide(
    visits: Iterable[Visit], injections: Iterable[Injection], stored: Stored
) -> list[Effect]:
    """Return the effects of each fault, and last those without one."""
    effects = [*(Effect(injection) for injection in injections), Effect(None)]
    names = set()
    for visit in visits:
        names.add(visit.name)
        effect = _effect_of(visit, effects)
        if visit.outcome is not Outcome.SUCCEEDED or visit.end - visit.begin > SLOW:
            effect.visits.append(visit)
        if visit.outcome is Outcome.LOGGED_OUT:
            effect.lost.append("a session")
        if visit.kind in WRITES:
            _compare(visit, stored, effect)
    strangers = [name for name in stored.rows if name not in names]
    strangers += [key for key in stored.pictures if _name_of(key) not in names]
    effects[-1].unwanted += strangers
    return effects


def _effect_of(visit: Visit, effects: list[Effect]) -> Effect:
    """Return the effect of the last fault that met a request, or of none."""
    for effect in reversed(effects[:-1]):
        injection = effect.injection
        assert injection
        if injection.begin <= visit.end and visit.begin <= injection.end + GRACE:
            return effect
    return effects[-1]


def _compare(visit: Visit, stored: Stored, effect: Effect) -> None:
    """Add what is wrong with a write to the effect."""
    rows = stored.rows.get(visit.name, [])
    keys = [key for key in stored.pictures if _name_of(key) == visit.name]
    if len(rows) > 1 or len(keys) > 1:
        effect.duplicated.append(visit.name)
    if visit.outcome is Outcome.UNKNOWN:
        effect.unknown += 1
        effect.unknown_stored += bool(rows)
    complete = all(visit.picture == stored.pictures.get(row, b"") for row in rows)
    if (visit.outcome is Outcome.SUCCEEDED and not rows) or not complete:
        effect.lost.append(visit.name)
    if visit.outcome in {Outcome.REFUSED, Outcome.LOGGED_OUT} and (rows or keys):
        effect.unwanted.append(visit.name)


def _name_of(key: str) -> str:
    """Return the product's name in "pictures/run-000001.bin" or "pictures/run-000001_a1b2.bin"."""
    return key.rpartition("/")[2].partition(".")[0].partition("_")[0]
