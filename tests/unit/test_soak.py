"""The verdict of the soak test: it finds every kind of loss, and blames the right fault."""

import httpx
import pytest

from tests.soak.report import text
from tests.soak.stored import Stored
from tests.soak.traffic import Outcome, Visit, judge
from tests.soak.verdict import Effect, Injection, decide

FAULT = Injection("a fault", 100, 110)
PICTURE = b"picture"
KEY = "pictures/run-000001.bin"
COMPLETE = Stored({"run-000001": [KEY]}, {KEY: PICTURE})


def write(
    outcome: Outcome = Outcome.SUCCEEDED, begin: float = 50, end: float = 51, saw: str = ""
) -> Visit:
    return Visit("upload", begin, end, outcome, saw, "run-000001", PICTURE)


def effect(visit: Visit, stored: Stored) -> Effect:
    """Return the effects without a fault."""
    return decide([visit], [FAULT], stored)[-1]


def test_complete_write_is_clean() -> None:
    assert all(effect.is_clean for effect in decide([write()], [FAULT], COMPLETE))


@pytest.mark.parametrize(
    "stored",
    [
        Stored(),
        Stored({}, {KEY: PICTURE}),
        Stored({"run-000001": [KEY]}, {}),
        Stored({"run-000001": [KEY]}, {KEY: b"pict"}),
    ],
    ids=["nothing", "no row", "no picture", "half a picture"],
)
def test_incomplete_write_is_lost(stored: Stored) -> None:
    found = effect(write(), stored)

    assert found.lost == ["run-000001"]
    assert not found.is_clean


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.UNKNOWN])
@pytest.mark.parametrize(
    "stored",
    [
        Stored({"run-000001": [KEY, KEY]}, {KEY: PICTURE}),
        Stored({"run-000001": [KEY]}, {KEY: PICTURE, "pictures/run-000001_a1.bin": PICTURE}),
    ],
    ids=["row", "picture"],
)
def test_write_is_duplicated(outcome: Outcome, stored: Stored) -> None:
    assert effect(write(outcome), stored).duplicated == ["run-000001"]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.LOGGED_OUT])
@pytest.mark.parametrize("stored", [COMPLETE, Stored({}, {KEY: PICTURE})])
def test_refused_write_must_not_exist(outcome: Outcome, stored: Stored) -> None:
    assert effect(write(outcome), stored).unwanted == ["run-000001"]


@pytest.mark.parametrize("stored", [Stored(), COMPLETE, Stored({}, {KEY: PICTURE})])
def test_unknown_write_may_exist(stored: Stored) -> None:
    found, _ = decide([write(Outcome.UNKNOWN, 99, 101)], [FAULT], stored)

    assert (found.unknown, found.unknown_stored) == (1, len(stored.rows))
    assert found.is_clean


def test_products_without_a_visitor_are_unwanted() -> None:
    stored = Stored({"run-000009": [""]}, {"pictures/run-000008.bin": b""})

    assert effect(write(), stored).unwanted == ["run-000009", "pictures/run-000008.bin"]


@pytest.mark.parametrize(
    ("begin", "end", "explained"),
    [(98, 99, False), (99, 101, True), (111, 140, True), (113, 114, False)],
    ids=["before", "hit", "just after", "later"],
)
def test_failures_need_a_fault(begin: float, end: float, explained: bool) -> None:
    failed = write(Outcome.UNKNOWN, begin, end, "500")

    hit, other = decide([failed], [FAULT], Stored())

    assert (hit.visits, other.visits) == (([failed], []) if explained else ([], [failed]))
    assert hit.is_clean
    assert other.is_clean is explained


def test_recovery_ends_with_the_last_affected_response() -> None:
    visits = [write(Outcome.UNKNOWN, 99, 101, "500"), write(begin=105, end=118)]

    hit, _ = decide(visits, [FAULT], COMPLETE)

    assert hit.recovery == pytest.approx(18)


def test_lost_session() -> None:
    logged_out = Visit("list", 50, 51, Outcome.LOGGED_OUT, "logged out")

    assert effect(logged_out, Stored()).lost == ["a session"]


def test_report_names_what_is_lost() -> None:
    visits = [write(begin=101, end=102)]

    report = text(visits, decide(visits, [FAULT], Stored()))

    assert "| a fault | 1 | nothing | - | 0 | 1 | 0 | 0 |" in report
    assert "Lost (a fault): run-000001" in report


@pytest.mark.parametrize(
    ("kind", "status", "headers", "body", "outcome"),
    [
        ("home", 200, {}, "", Outcome.SUCCEEDED),
        ("home", 302, {}, "", Outcome.UNKNOWN),
        ("note", 302, {"location": "/prod/products/"}, "", Outcome.SUCCEEDED),
        ("note", 200, {}, "a form with an error", Outcome.UNKNOWN),
        ("note", 302, {"location": "/prod/accounts/login/?next=/"}, "", Outcome.LOGGED_OUT),
        ("login", 302, {"location": "/prod/products/"}, "", Outcome.SUCCEEDED),
        ("note", 403, {}, "", Outcome.REFUSED),
        ("note", 500, {}, "", Outcome.UNKNOWN),
        ("note", 503, {}, "[]", Outcome.UNKNOWN),
        ("note", 503, {}, '{"message": "Your request was not processed."}', Outcome.REFUSED),
        ("note", 504, {}, '{"message": "It may have been processed."}', Outcome.UNKNOWN),
    ],
)
def test_outcome_is_what_the_response_states(
    kind: str, status: int, headers: dict[str, str], body: str, outcome: Outcome
) -> None:
    assert judge(kind, httpx.Response(status, headers=headers, text=body))[0] is outcome
