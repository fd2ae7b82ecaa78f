"""Cross-play: who earns what with whom by hand, under contracts and without, on the screen and in files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from paymaster import UsageError, make, run
from paymaster.benchmarks.analysis import crossplay as module
from paymaster.benchmarks.analysis.crossplay import NONE, Cell, CrossPlay, Pairing, Player, Unaware, crossplay
from paymaster.benchmarks.cli import main
from paymaster.contracts.loop import AgentView
from paymaster.learning.agents.follow import FollowPolicy
from paymaster.learning.agents.mixed import MixedPolicy, Part

GAME = "matrix/iterated-prisoners-dilemma"  # -1, -3, 0, -2
CONTRACT = "committed-rates rates={'cooperated': 1.5}/cooperate"


def made(out: Path, strategy: str, **more: Any) -> None:
    settings = {"horizon": 10, "episodes": 4, "steps": 1, **more}
    run(GAME, algorithm="scripted", strategy=strategy, out=out, **settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Defectors of three seeds, and cooperators of one who are paid 1.5 for each step in which they cooperate."""
    out = tmp_path_factory.mktemp("runs")
    for seed in range(3):
        made(out, "defect", seed=seed)
    made(out, "cooperate", mechanism="committed-rates", rates={"cooperated": 1.5})
    return out


@pytest.fixture(scope="module")
def found(folder: Path) -> CrossPlay:
    return crossplay(folder, episodes=4)


def cell(found: CrossPlay, row: str, column: str, contract: str = NONE) -> Cell:
    (found_cell,) = [each for each in found.cells if each[:3] == (contract, row, column)]
    return found_cell


def test_all_play_with_all_without_a_contract_and_under_each(found: CrossPlay) -> None:
    scripts = ["cooperate", "defect", "tit-for-tat", "grim"]
    assert [player.name for player in found.players] == [CONTRACT, "selfish/defect", *scripts]
    assert found.contracts == [NONE, CONTRACT]
    assert len(found.cells) == 2 * 6 * 6
    assert not found.left_out


@pytest.mark.parametrize(
    ("row", "column", "incomes"),
    [
        (CONTRACT, "selfish/defect", (-30, 0)),
        ("selfish/defect", CONTRACT, (0, -30)),
        ("selfish/defect", "tit-for-tat", (-18, -21)),
        ("grim", CONTRACT, (-10, -10)),
    ],
)
def test_what_both_sides_earn_by_hand(found: CrossPlay, row: str, column: str, incomes: tuple[float, float]) -> None:
    """Under the contract who cooperates in all 10 steps earns 15 more, and tit for tat, who does in the first, 1.5."""
    cooperated = {CONTRACT: 10, "grim": 10, "tit-for-tat": 1, "selfish/defect": 0}
    for contract, wage in ((NONE, 0.0), (CONTRACT, 1.5)):
        played = cell(found, row, column, contract)
        paid = [wage * cooperated[row], wage * cooperated[column]]
        assert played.row_income.mean == pytest.approx(incomes[0] + paid[0])
        assert played.column_income.mean == pytest.approx(incomes[1] + paid[1])
        assert played.welfare.mean == pytest.approx(sum(incomes))
        assert played.payment.mean == pytest.approx(sum(paid))


def test_intervals_are_over_seeds_where_there_are_several(found: CrossPlay) -> None:
    """Of a line's three seeds one pair is disjoint, and with a script each plays."""
    alike = cell(found, "selfish/defect", "selfish/defect")
    assert (alike.over, alike.welfare) == ("episodes", (-40.0, -40.0, -40.0, 4))
    assert cell(found, "selfish/defect", "grim").over == "seeds"
    single = cell(found, "selfish/defect", CONTRACT)
    assert (single.over, single.welfare.seeds) == ("episodes", 4)


@pytest.mark.parametrize(
    ("seeds", "own", "others"),
    [
        (1, [(0, 0)], [(0, 0)]),
        (2, [(0, 1)], [(0, 1), (1, 0)]),
        (3, [(0, 1)], [(0, 1), (1, 2), (2, 0)]),
        (4, [(0, 1), (2, 3)], [(0, 1), (1, 2), (2, 3), (3, 0)]),
    ],
)
def test_who_of_which_seed_plays_with_whom(
    seeds: int, own: list[tuple[int, int]], others: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never with its own seed but where there is no other; and a line's own pairs share no seed."""
    met: list[Any] = []
    monkeypatch.setattr(module, "_partner", lambda player, seed, contract: met.append(seed))
    monkeypatch.setattr(module, "_evaluated", lambda *arguments, **options: None)
    run = SimpleNamespace(spec=SimpleNamespace(seed=0))
    one, other = (Player(name, (run,) * seeds, (None,) * seeds) for name in ("one", "other"))  # type: ignore[arg-type]
    for column, pairs in ((one, own), (other, others)):
        met.clear()
        list(module._played(make(GAME), Pairing(None, one, column), 1))
        assert [*zip(met[::2], met[1::2], strict=True)] == pairs


def test_agents_that_do_not_know_a_contract_are_not_shown_its_terms() -> None:
    shown: list[np.ndarray] = []

    def policy(seen: AgentView) -> np.ndarray:
        shown.append(seen.terms)
        return seen.observations[..., 0]

    view = AgentView(np.zeros((5, 2, 7), np.uint8), np.ones((5, 2, 1), np.float32))
    assert Unaware(policy, terms_size=3)(view).shape == (5, 2)
    np.testing.assert_array_equal(shown[0], np.zeros((5, 2, 3)))


def test_who_follows_plays_under_its_own_contract_alone(tmp_path: Path) -> None:
    """An exact principal pays each of two who cooperate 1 a step, and so does it whoever cooperates unasked."""
    run(GAME, mechanism="principal-exact", algorithm="follow", horizon=10, episodes=4, steps=1, out=tmp_path)
    found = crossplay(tmp_path, episodes=4)
    follower, own = found.players[0].name, found.contracts[1]
    assert {each[1:3] for each in found.cells if each.contract == NONE} == {
        (row.name, column.name) for row in found.players[1:] for column in found.players[1:]
    }
    played = cell(found, follower, "cooperate", own)
    assert (played.row_income.mean, played.column_income.mean, played.payment.mean) == (0.0, 0.0, 20.0)
    assert found.left_out == [f"under the contract none: {follower} follows recommendations, and is given none"]


def test_runs_of_other_rules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no finished run"):
        crossplay(tmp_path, episodes=4)
    made(tmp_path, "defect")
    made(tmp_path, "defect", horizon=11)
    with pytest.raises(UsageError, match=r"under the same rules.*horizon=1[01] and 1[01]"):
        crossplay(tmp_path, episodes=4)


def paymaster(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command_prints_matrices(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert paymaster("crossplay", folder, "--episodes", 4) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"### Cross-play in {GAME}\n\nWelfare without a contract\n\n|  | {CONTRACT} |")
    assert "| -30.00 [-30.00, -30.00] / 0.00 [0.00, 0.00] |" in out
    assert f"Welfare under the contract of {CONTRACT}" in out
    assert "columns the second, in 4 episodes" in out


def test_the_command_writes_a_table_and_how_it_was_made(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paymaster("crossplay", folder, "--episodes", 4, "--out", tmp_path / "who.csv") == 0
    rows = list(csv.DictReader((tmp_path / "who.csv").read_text().splitlines()))
    told = json.loads((tmp_path / "who.json").read_text())
    assert len(rows) == len(told["cells"]) == 72
    (row,) = [each for each in rows if (each["contract"], each["row"], each["column"]) == (NONE, "defect", "grim")]
    assert (float(row["welfare"]), float(row["row_income"]), row["over"]) == (-39.0, -18.0, "episodes")
    assert told["rules"]["horizon"] == 10
    assert [len(player["runs"]) for player in told["players"]] == [1, 3, 0, 0, 0, 0]
    assert paymaster("crossplay", folder, "--out", tmp_path / "who.txt") == 2
    assert "write to a .csv, .md or .json" in capsys.readouterr().err


def test_a_mixture_with_one_who_follows_follows() -> None:
    def part(policy: Any) -> Part:
        return Part("", {}, (0,), policy)

    learner = SimpleNamespace()
    assert module._follows(MixedPolicy([part(learner), part(FollowPolicy(2))]))
    assert not module._follows(MixedPolicy([part(learner)]))


def test_a_folder_that_is_not_there_is_told_before_anybody_plays(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["crossplay", str(folder), "--out", str(tmp_path / "nowhere" / "who.csv")])
    assert ended.value.code == 2
    assert "make it first" in capsys.readouterr().err
