"""A payoff matrix solved: by hand, by searching all contracts on a grid, and from a file."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from paymaster import UsageError, solve_matrix
from paymaster.benchmarks.cli import main
from paymaster.benchmarks.cli.solve_matrix import read_payoffs

PRISONERS = [[(3, 3), (0, 4)], [(4, 0), (1, 1)]]
TABLE = "row,column,row pays,column pays\nC,C,3,3\nC,D,0,4\nD,C,4,0\nD,D,1,1\n"


def test_the_prisoners_dilemma_by_hand() -> None:
    found = solve_matrix(PRISONERS, names=[("C", "D")] * 2)
    (only,) = found.equilibria
    assert only.payoffs.tolist() == [1, 1]
    best = found.induced[0]
    assert (best.actions, best.welfare) == ((0, 0), 6)
    assert best.payments.tolist() == best.dominant.tolist() == [1, 1]
    assert found.utility(best) == 58
    assert found.self_interest == pytest.approx(0.75)  # Willis and Luck 2023
    assert str(found).splitlines() == [
        "equilibria",
        "  D | D: payoffs 1 1, welfare 2",
        "",
        "a principal of welfare / 0.1 - payments, best first",
        "  C, C: welfare 6, pays 1 1, to make it dominant by own actions 1 1",
        "  C, D: welfare 4, pays 1 0, to make it dominant by own actions 1 0",
        "  D, C: welfare 4, pays 0 1, to make it dominant by own actions 0 1",
        "  D, D: welfare 2, pays 0 0, to make it dominant by own actions 0 0",
        "",
        "transfers that make C dominant: s* 0.75, g* 0.75",
        "  T* 0.75 0.25",
        "  T* 0.25 0.75",
    ]


def test_stag_hunt_needs_no_money_on_the_path() -> None:
    """Hunting together is an equilibrium; whoever is to hunt whatever the other does is owed 1 while it does not."""
    best = solve_matrix([[(4, 4), (0, 3)], [(3, 0), (1, 1)]]).induced[0]
    assert best.payments.tolist() == [0, 0]
    assert best.dominant.tolist() == [1, 1]


def test_dear_money_buys_less() -> None:
    """At alpha 5 a unit of welfare is worth a fifth of a unit paid: nothing is bought."""
    assert solve_matrix(PRISONERS, alpha=5.0).induced[0].payments.sum() == 0


@pytest.mark.parametrize("seed", range(6))
def test_payments_are_the_least_on_a_grid(seed: int) -> None:
    """Among all payments 0, 1, ... for each agent's action, by a plain search of deviations."""
    payoffs = np.random.default_rng(seed).integers(0, 4, (2, 3, 2))
    for each in solve_matrix(payoffs).induced:
        for i in range(2):
            for paid, kind in ((each.payments[i], "equilibrium"), (each.dominant[i], "dominant")):
                enough = [pay for pay in range(5) if held(payoffs, each.actions, i, pay, kind)]
                assert paid == min(enough)


def held(payoffs: np.ndarray, actions: tuple[int, ...], agent: int, pay: float, kind: str) -> bool:
    """Whether no other action is better for the agent, who is paid so for its own, beside what the others do."""
    others = [range(A) if kind == "dominant" else [actions[j]] for j, A in enumerate(payoffs.shape[:-1])]
    others[agent] = [actions[agent]]
    for joint in product(*others):
        for other in range(payoffs.shape[agent]):
            deviated = tuple(other if j == agent else action for j, action in enumerate(joint))
            if other != actions[agent] and payoffs[deviated][agent] > payoffs[joint][agent] + pay:
                return False
    return True


def test_transfers_are_for_two_actions_each() -> None:
    found = solve_matrix(np.zeros((2, 3, 2)))
    assert found.self_interest is None
    assert found.transfers is None
    assert solve_matrix(np.zeros((2, 2, 2, 3))).transfers is not None


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"payoffs": [1, 2]}, "no matrix game"),
        ({"payoffs": PRISONERS, "alpha": 0.0}, "above 0"),
        ({"payoffs": PRISONERS, "names": [("C",), ("C", "D")]}, "2 and 2 actions"),
        ({"payoffs": np.zeros((400, 400, 2))}, "160,000 joint actions"),
    ],
)
def test_what_is_no_game_is_refused(arguments: dict[str, object], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        solve_matrix(**arguments)  # type: ignore[arg-type]


def test_a_file_of_payoffs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pd.csv"
    path.write_text("\ufeff" + TABLE, encoding="utf-8")
    payoffs, names = read_payoffs(path)
    assert payoffs.tolist() == np.array(PRISONERS).tolist()
    assert names == [["C", "D"], ["C", "D"]]
    with pytest.raises(SystemExit) as ended:
        main(["solve", str(path), "--json"])
    assert ended.value.code in (0, None)
    found = json.loads(capsys.readouterr().out)
    assert found["induced"][0] == {
        "actions": ["C", "C"], "welfare": 6.0, "payments": [1.0, 1.0], "dominant": [1.0, 1.0], "utility": 58.0,
    }  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main(["solve", str(path), "--discount", "0.9"])
    assert ended.value.code == 2
    assert "leave the other options out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "0 columns"),
        ("a,b,c\n", "3 columns"),
        ("a,b\n", "no payoffs of any action"),
        (TABLE + "C,C,1,1\n", "line 6: C, C is there twice"),
        (TABLE + "C\n", "has 1 cells of 4"),
        (TABLE.replace("D,D,1,1\n", ""), "no payoffs of D, D"),
        (TABLE.replace("D,D,1,1", "D,D,one,1"), "line 5: could not convert"),
        (TABLE.replace("D,D,1,1", "D,D,nan,1"), "not finite"),
    ],
)
def test_a_file_that_is_no_game_is_refused(text: str, part: str, tmp_path: Path) -> None:
    path = tmp_path / "game.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=part):
        solve_matrix(read_payoffs(path)[0])


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no file"):
        read_payoffs(tmp_path)
