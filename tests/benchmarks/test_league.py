"""The league: gaps by hand, intervals that cover, places of tables and of one's own, and the command."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from paymaster import UsageError
from paymaster.benchmarks.analysis.league import league
from paymaster.benchmarks.cli import main
from paymaster.benchmarks.measures.statistics import fraction_closed
from paymaster.benchmarks.provenance import REFERENCE, ROOT
from paymaster.benchmarks.reports.league_table import by_family, games_of, matrix, ranking

TABLES = ROOT / REFERENCE
TABLE = TABLES / "contracts-cleanup.csv"
GAME = "cleanup/lio-7x7"


def test_a_fraction_by_hand() -> None:
    """Means 3, 1 and 5: half of a gap of 4. Variances of the means 1, 1 and none: slopes 1 and -1/2, over 4."""
    found = fraction_closed(np.array([2.0, 4.0]), np.array([0.0, 2.0]), 5.0)
    error, student = np.sqrt(1.0 + 0.25) / 4.0, 12.7062  # with one degree of freedom
    assert found.mean == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - student * error, 0.5 + student * error), rel=1e-4)


def test_a_fraction_of_a_learned_optimum_has_its_variance_too() -> None:
    ours, base, top = np.array([2.0, 4.0]), np.array([0.0, 2.0]), np.array([4.0, 6.0])
    error = np.sqrt(1.0 + 0.25 + 0.25) / 4.0
    assert fraction_closed(ours, base, top).high == pytest.approx(0.5 + 12.7062 * error, rel=1e-4)


def test_no_gap_and_a_single_seed() -> None:
    one = np.array([1.0])
    assert np.isnan(fraction_closed(np.array([2.0, 3.0]), one, 1.0).mean)
    single = fraction_closed(np.array([2.0]), one, 3.0)
    assert single.mean == 0.5
    assert np.isnan(single.low)


def test_a_learned_top_of_one_seed_has_no_interval() -> None:
    """Its variance is not known, as that of an exact optimum is."""
    ours, base = np.array([1.0, 1.1, 0.9]), np.array([0.0, 0.1, -0.1])
    assert np.isnan(fraction_closed(ours, base, np.array([2.0])).low)
    assert fraction_closed(ours, base, 2.0).low > 0.3


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_cover(seeds: int) -> None:
    """95% of normal seeds, whichever part of the gap is closed."""
    rng = np.random.default_rng(0)
    for closed in (0.1, 0.9):
        hits = [
            found.low <= closed <= found.high
            for found in (
                fraction_closed(closed + rng.normal(0, 0.1, seeds), rng.normal(0, 0.1, seeds), 1.0) for _ in range(2000)
            )
        ]
        assert np.mean(hits) >= 0.94


def test_places_are_those_of_the_table() -> None:
    found = {place.mechanism: place for place in league(TABLE).places}
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    welfare = {id: np.mean([float(row["welfare"]) for row in rows if row["name"] == id]) for id in ("selfish", "mate")}
    solved = json.loads(TABLE.with_suffix(".json").read_text())["exact"][0]["solutions"][0]
    assert solved["name"] == "social optimum"
    by_hand = (welfare["mate"] - welfare["selfish"]) / (solved["welfare"] - welfare["selfish"])
    assert found["mate"].closed.mean == pytest.approx(by_hand)
    assert "selfish" not in found
    assert found["committed-rates"].lines == 2
    assert found["mate"].table == "contracts-cleanup"
    assert found["formal-contract"].money.keys() == {"transfer_volume"}
    assert all(place.exact and place.game == GAME for place in found.values())


def test_where_no_optimum_is_known_joint_agents_are_the_top_and_have_no_place(tmp_path: Path) -> None:
    found = league(shutil.copy(TABLE, tmp_path / "mine.csv")).places  # nothing is known beside it
    assert found
    assert "joint" not in {place.mechanism for place in found}
    assert not any(place.exact for place in found)
    assert all(cell.endswith(" *") for _, cell in matrix(found)[1:])


def test_a_gap_that_is_not_established_is_none() -> None:
    """Joint agents of Cleanup 10x10 and `ssd` earn more than selfish ones in the mean, but by less than it varies."""
    found = league(TABLES / "cleanup-ssd.csv")
    assert found.places == []
    assert "it is not established" in found.left_out[0]


def test_a_principal_with_a_return_of_its_own_counts() -> None:
    """In the principal-agent bandit the agent earns less under the best contract, and both together more."""
    places = league(TABLES / "rivals-incentives.csv").places
    closed = {place.mechanism: place.closed.mean for place in places if place.learner == "dqn"}
    assert closed == pytest.approx({"committed-rates": 1.0, "least-incentives": 1.0}, abs=0.02)


def test_ones_own_table_stands_beside_the_reference_of_the_same_name(tmp_path: Path) -> None:
    own = shutil.copy(TABLE, tmp_path / TABLE.name)
    shutil.copy(TABLE.with_suffix(".json"), tmp_path)
    tables = [place.table for place in league(TABLE, own).places if place.mechanism == "mate"]
    assert tables == ["contracts-cleanup", str(own)]


def test_a_gap_is_measured_within_one_table() -> None:
    """The same game stands in two tables, with selfish agents of their own."""
    found = league(TABLE, TABLES / "cleanup-7x7.csv").places
    tables = {(place.table, place.closed.mean) for place in found if place.mechanism == "joint"}
    assert len(tables) == 2


def test_a_table_without_selfish_agents_is_left_out_with_a_reason() -> None:
    found = league(TABLES / "coin-frontier-ppo.csv")
    assert found.places == []
    assert found.left_out == [
        "coin_game/ivanov-7x7, observation mutual of coin-frontier-ppo: no selfish agents stand beside what is there"
    ]


def test_a_ranking_begins_with_what_closes_most() -> None:
    places = league(TABLE).places
    head, *rows = ranking(places)
    assert head == ["line", "learner", "table", "steps", "gap closed", "payment", "transfers", "seeds", "best of"]
    shares = [float(row[4].split("%")[0]) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert list(by_family(places)) == ["cleanup, ppo agents"]
    assert list(games_of(places, "cleanup")) == list(games_of(places, GAME)) == [GAME]
    assert games_of(places, "coin_game") == {}


def test_a_damaged_solution_beside_a_table_is_told(tmp_path: Path) -> None:
    table = shutil.copy(TABLE, tmp_path / "mine.csv")
    assert not any(place.exact for place in league(table).places)  # nothing is known here: joint agents are the top
    (tmp_path / "mine.json").write_text('{"exact": [1]}')
    with pytest.raises(UsageError, match=r"mine\.json is damaged"):
        league(table)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def printed(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["league", *arguments])
        assert ended.value.code == 0
        return capsys.readouterr().out

    everything = printed()
    assert "cleanup, ppo agents" in everything
    assert all(len(line) <= 100 for line in everything.splitlines())
    one = printed("--game", GAME)
    assert one.startswith(f"{GAME}\n")
    assert "coin_game" not in one
    with pytest.raises(SystemExit) as ended:
        main(["league", "--game", "cleanup/lio-7x8"])
    assert ended.value.code == 2
    assert "Did you mean 'cleanup/lio-7x7'" in capsys.readouterr().err
