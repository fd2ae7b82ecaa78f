"""`paymaster solve`: what it tells and keeps, and that what it keeps can be drawn."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from paymaster import UsageError, make
from paymaster.benchmarks.cli import solve as command
from paymaster.benchmarks.cli.app import main
from paymaster.benchmarks.cli.solve import solved
from paymaster.benchmarks.runs.solution import replay_solution
from paymaster.equilibria.solve import solve
from paymaster.equilibria.tables.tabulate import tabulate

GAME = "coin_game/ivanov-3x3"


def test_people_are_told_the_rates_and_the_rounds() -> None:
    told = solved(GAME, ["horizon=3"], iterations=True)
    assert "principal, best linear contract" in told
    assert "Best linear contract found: " in told
    assert " for each others_left" in told
    number, changed, *_ = told.splitlines()[-1].split()
    assert (int(number) <= 4, changed) == (True, "0")
    assert json.loads(solved(GAME, ["horizon=3"], iterations=True, as_json=True))["rounds"][-1]["changed"] == 0


def test_a_principal_may_have_favourites(capsys: pytest.CaptureFixture[str]) -> None:
    told = solved(GAME, ["horizon=3"], favour=0.2, iterations=True)
    assert "alpha 0.1; favour 0.2" in told
    found = json.loads(solved(GAME, ["horizon=3"], favour=0.2, iterations=True, as_json=True))
    assert found["favour"] == 0.2
    assert found["rounds"][-1]["payment"] == pytest.approx(found["principal"]["payment"])
    for game, favour, message in ((GAME, "1", "favour: got 1.0"), ("tree/ivanov-d10", "0.1", "has one")):
        with pytest.raises(SystemExit, match="2"):
            main(["solve", game, "--favour", favour])
        assert message in capsys.readouterr().err


def test_rounds_are_of_the_finite_horizon() -> None:
    with pytest.raises(UsageError, match=r"--discount 0\.9"):
        solved(GAME, iterations=True, discount=0.9)


def test_a_row_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """One of several fixed points; a game of three without a pure equilibrium; a principal who abstains; myopia."""
    told = solved(GAME, ["horizon=7", "others_coin=0.5"], discount=0.5)
    assert "principal, dominant strategies (one of several fixed points)" in told
    assert "other fixed points of its rule: welfare 5.165 for 2.982" in told
    told = solved("matrix/cyclical-chicken", ["players=3"])
    assert "selfish equilibrium, highest: agents play mixed strategies in 1 stage games" in told
    told = solved("matrix/cyclical-chicken", ["players=3"], alpha=20.0)
    assert "principal, subgame-perfect (abstains in 100.0% of the steps)" in told
    assert "the principal abstains and agents mix in 1 stage games; 1 of them in an episode, on average" in told
    with pytest.raises(SystemExit, match="0"):
        main(["solve", GAME, "--discount", "0"])
    assert "stationary at discount 0" in capsys.readouterr().out


@pytest.mark.parametrize("discount", [None, 0.9])
def test_what_is_kept_is_what_was_found(tmp_path: Path, discount: float | None) -> None:
    out = tmp_path / "solved"
    told = solved(GAME, ["others_coin=0.5"], discount=discount, out=out)
    assert f"paymaster render {out}" in told
    about = json.loads((out / "solution.json").read_text())
    assert (about["id"], about["rules"]["others_coin"], about["states"]) == (GAME, 0.5, 162)
    game = make(GAME, others_coin=0.5)
    exact = solve(tabulate(game), "principal", game.horizon, discount=discount)
    with np.load(out / "policies.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["principal.actions"], exact.actions)
        np.testing.assert_allclose(arrays["principal.promised"], exact.promised, atol=1e-6)
        assert arrays["highest.mixed_strategies"].shape[1:] == (2, 4)
    again, replay = replay_solution(out, seed=3)
    assert again == game
    np.testing.assert_array_equal(replay.actions, replay.recommended)
    assert replay.actions.shape == (game.horizon, 2)
    state = game.reset(replay.key)
    for t, actions in enumerate(replay.actions):
        decided = exact.actions if discount else exact.actions[t]
        np.testing.assert_array_equal(actions, decided[game.index(state)[0]])  # type: ignore[attr-defined]
        state, _ = game.step(state, actions[None])


def test_a_solution_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, film = tmp_path / "solved", tmp_path / "exact.gif"
    solved(GAME, ["horizon=3"], out=out)
    for seed in (0, 1):
        with pytest.raises(SystemExit) as exit:
            main(["render", str(out), "--out", str(film), "--seed", str(seed)])
        assert exit.value.code == 0
        assert film.read_bytes()[:3] == b"GIF"
    assert str(film) in capsys.readouterr().out


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="choose another --out"):
        solved(GAME, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_solution_is_told(tmp_path: Path) -> None:
    out = tmp_path / "solved"
    solved(GAME, ["horizon=2"], out=out)
    about = json.loads((out / "solution.json").read_text())
    for change, message in [
        ({"id": "coin_game/ivanov-4x4"}, "ivanov-4x4"),
        ({"version": 99}, "solved under version 99"),
        ({"rules": about["rules"] | {"grid_size": 4}}, "no policy"),
        ({"rules": None}, "cannot be read"),
    ]:
        (out / "solution.json").write_text(json.dumps(about | change))
        with pytest.raises(UsageError, match=message):
            replay_solution(out, seed=0)
    (out / "solution.json").write_text(json.dumps(about))
    (out / "policies.npz").write_bytes((out / "policies.npz").read_bytes()[:200])
    with pytest.raises(UsageError, match="cannot be read"):
        replay_solution(out, seed=0)


def test_without_a_terminal_progress_is_told_in_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "EVERY", 0.01)
    with command._bar() as on_progress:
        on_progress("equilibria", 0.4)
        time.sleep(0.2)
    told = capsys.readouterr().err.splitlines()
    assert "paymaster: solving for 0 min: equilibria 40%" in told
    count = len(told)
    time.sleep(0.05)
    assert not capsys.readouterr().err  # nothing is told once it is solved
    assert count > 1
