"""The tables of the page about scale, and the simulation behind them."""

from pathlib import Path

import pytest
from bench.scale import calculation, simulation
from bench.simulation import Bucket, Database, Simulation, Site, connections

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "scale.md").read_text()


def test_page_has_the_calculated_table() -> None:
    assert calculation() in PAGE


def test_page_has_the_simulated_table() -> None:
    assert simulation() in PAGE


def test_page_has_the_limits_of_connections() -> None:
    limits = [connections(acu) for acu in (1, 4, 8, 16)]

    row = f"189 | about 400 | {limits[1]} | {limits[2]:,} | {limits[3]:,} |"
    assert f"| Connections | {row}" in PAGE
    assert limits[0] == 189
    assert 395 < connections(2) < 405
    assert connections(256) == connections(16)


def test_bucket_admits_a_burst_and_then_the_rate() -> None:
    bucket = Bucket(rate=10, burst=20)

    assert [bucket.take(0) for _ in range(21)] == [True] * 20 + [False]
    assert [bucket.take(1) for _ in range(11)] == [True] * 10 + [False]


def test_requests_share_the_databases_processor() -> None:
    database = Database(cpus=0.5)
    database.add(1, 1)
    assert database.next_end() == pytest.approx(2)
    database.advance(1)
    database.add(2, 1)
    assert database.next_end() == pytest.approx(3)
    database.advance(3)
    assert database.busy == pytest.approx(1.5)


@pytest.mark.parametrize("load", [10, 200])
def test_every_request_has_one_outcome(load: int) -> None:
    result = Simulation(Site(load, 1000, {"LAMBDA_CONCURRENCY": 50})).run()

    running = len(result.instances)
    assert result.outcomes.total() + running == pytest.approx(load * 60, rel=0.1)
    assert result.executions <= 100
    assert result.cpu <= 1
