"""The audit: contracts and learned policies judged exactly, against numbers computed by hand and against play."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paymaster.baselines import make_mechanism
from paymaster.benchmarks.analysis import dataset
from paymaster.benchmarks.analysis.comparison import compare
from paymaster.benchmarks.cli.app import main
from paymaster.benchmarks.measures import audit as module
from paymaster.benchmarks.measures.audit import AUDIT, Audit, Judged, examine, read_audit
from paymaster.benchmarks.measures.columns import COLUMNS, RunData, Stored
from paymaster.benchmarks.measures.exact_solutions import is_cheap
from paymaster.benchmarks.reports.comparison_rows import audited_rows
from paymaster.benchmarks.reports.comparison_table import present
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.benchmarks.runs.run import perform
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.spec import RunSpec
from paymaster.contracts.loop import Principal, Simulation
from paymaster.contracts.mechanism import Decisions, Mechanism
from paymaster.core.config import UsageError
from paymaster.envs import make
from paymaster.equilibria.exact_principal import ExactPrincipal
from paymaster.equilibria.induced_game import InducedGame, best_responses, equilibria, evaluate, induce, obedience
from paymaster.equilibria.solve import solve
from paymaster.equilibria.tables.tabulate import tabulate

from .. import unlearned

PD = "matrix/prisoners-dilemma"  # mutual cooperation 3, 3; defecting on a cooperator 4, 0; mutual defection 1, 1
COIN = "coin_game/ivanov-3x3"
C, D = 0, 1


@pytest.fixture(autouse=True)
def _unlearned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
    monkeypatch.setattr("paymaster.learning.phases", unlearned, raising=False)


# By hand


def advise(pay: float, later: float | None = None) -> Principal:
    """Recommends cooperation and pays for it: `pay`, or `later` where somebody has acted before."""

    def principal(game: Any, state: Any) -> Decisions:
        B = len(state.key)
        acted = state.played[:, :1] >= 0
        promised = np.where(acted, pay if later is None else later, np.full((B, 2), pay))
        return Decisions(np.full((B, 2), C), promised.astype(np.float32))

    return principal


def dilemma(pay: float, *, horizon: int = 1, discount: float | None = None, later: float | None = None) -> InducedGame:
    game = make(PD, horizon=horizon, truncates=discount is not None)
    return induce(game, make_mechanism("principal-dqn", game), advise(pay, later), discount=discount)


def policy(game: InducedGame, *actions: int) -> np.ndarray:
    return np.tile(np.array(actions), (game.table.states, 1))


def found(game: InducedGame, **starts: np.ndarray) -> dict[str, tuple[float, float]]:
    return {each.found: (each.evaluation.welfare, each.evaluation.payment) for each in equilibria(game, starts)}


def test_half_of_what_defecting_gains_is_too_little_to_be_followed() -> None:
    game = dilemma(0.5)
    followed = policy(game, C, C)
    assert evaluate(game, followed).welfare == 6.0
    assert evaluate(game, followed).payment == 1.0
    reply = best_responses(game, followed)
    np.testing.assert_allclose(reply.kept, [3.5, 3.5])
    np.testing.assert_allclose(reply.best, [4.0, 4.0])
    np.testing.assert_allclose(reply.gains, [0.5, 0.5])
    np.testing.assert_allclose(reply.now, [0.5, 0.5])
    np.testing.assert_allclose(reply.lost[0, 0], [[0.5, 0.0]] * 2)
    defected = {"highest": (2.0, 0.0), "lowest": (2.0, 0.0), "from start": (2.0, 0.0)}
    assert found(game, start=followed) == defected


def test_all_of_it_makes_following_one_equilibrium_among_several() -> None:
    game = dilemma(1.0)
    np.testing.assert_allclose(best_responses(game, policy(game, C, C)).gains, 0.0)
    # an agent earns 4 whatever it does where the other cooperates, and 1 where it defects
    assert found(game, good=policy(game, C, C), bad=policy(game, D, D), mixed=policy(game, C, D)) == {
        "highest": (6.0, 2.0), "lowest": (2.0, 0.0),
        "from good": (6.0, 2.0), "from bad": (2.0, 0.0), "from mixed": (4.0, 1.0),
    }  # fmt: skip


def test_following_while_the_others_do_not() -> None:
    game = dilemma(0.5)
    kept, best = obedience(game, policy(game, C, C), policy(game, D, D))
    np.testing.assert_allclose(kept, 0.5)  # cooperating with a defector, and paid
    np.testing.assert_allclose(best, 1.0)


def test_a_policy_that_was_learned_loses_action_by_action() -> None:
    game = dilemma(0.5)
    reply = best_responses(game, policy(game, C, D))
    assert evaluate(game, policy(game, C, D)).payment == 0.5  # pay is due to who follows, and to nobody else
    np.testing.assert_allclose(reply.lost[0, 0], [[0.5, 0.0], [0.5, 0.0]])
    np.testing.assert_allclose(reply.gains, [0.5, 0.0])


def test_gains_now_and_by_any_policy_over_the_horizon() -> None:
    twice = best_responses(dilemma(0.5, horizon=2), policy(dilemma(0.5, horizon=2), C, C))
    np.testing.assert_allclose(twice.gains, 1.0)
    np.testing.assert_allclose(twice.now, 0.5)
    for_ever = dilemma(0.5, horizon=2, discount=0.5)
    reply = best_responses(for_ever, policy(for_ever, C, C))
    np.testing.assert_allclose(reply.kept, 7.0)  # 3.5 / (1 - 0.5)
    np.testing.assert_allclose(reply.gains, 1.0)
    np.testing.assert_allclose(reply.now, 0.5)
    assert evaluate(for_ever, policy(for_ever, C, C)).welfare == 12.0  # over the horizon, undiscounted


def test_what_tempts_only_where_nobody_is_does_not_count() -> None:
    """Unpaid at the start, where defecting would end cooperation: but none starts there in the second and last step."""
    game = dilemma(0.0, later=1.0, horizon=2)
    both_cooperated = np.array([True, True, False, False, False])  # the start, then CC, CD, DC, DD
    reply = best_responses(game, np.where(both_cooperated[:, None], C, D).repeat(2, axis=1))
    np.testing.assert_allclose(reply.kept, 7.0)
    np.testing.assert_allclose(reply.now, 0.0)
    np.testing.assert_allclose(reply.lost[1, 0], [[1.0, 0.0]] * 2)


# The mechanisms


def test_the_table_of_a_mechanism_holds_what_it_adds() -> None:
    game = make(COIN)
    table, p = tabulate(game), 0.3
    welfare = table.rewards.sum(axis=2, keepdims=True)
    shared = (1 - p) * table.rewards + p * welfare / 2
    for id, earned, paid in [
        ("selfish", table.rewards, 0.0),
        ("joint", np.broadcast_to(welfare, table.rewards.shape), 0.0),
        ("constant-share", shared, 0.0),
        ("funded-share", table.rewards + p * welfare / 2, np.broadcast_to(p * welfare / 2, table.rewards.shape)),
    ]:
        judged = induce(game, make_mechanism(id, game, **({"share": p} if "share" in id else {})))
        np.testing.assert_allclose(judged.earned.rewards, earned, atol=1e-6)
        np.testing.assert_allclose(judged.payments, paid, atol=1e-6)


@pytest.mark.parametrize("id", ["inequity-aversion", "drawn-contract"])
def test_a_mechanism_that_remembers_is_refused_in_a_sentence(id: str) -> None:
    game = make(COIN)
    with pytest.raises(UsageError, match="remembers more than the game's state"):
        induce(game, make_mechanism(id, game))


def test_a_game_without_a_table_is_refused() -> None:
    game = make("coin_game/mfos-3x3")
    assert not is_cheap(game)
    with pytest.raises(UsageError, match="table of states"):
        induce(game, Mechanism(game=game))


def test_the_exact_principal_is_at_no_distance_to_itself() -> None:
    game = make(COIN)
    solution = solve(tabulate(game), "principal", game.horizon, discount=0.99)
    for nudge, largest in ((0.0, 1e-6), (0.02, 1e-2)):
        principal = ExactPrincipal(solution, nudge)
        judged = induce(game, make_mechanism("principal-dqn", game), principal, discount=0.99)
        assert best_responses(judged, principal.recommended).gains.max() < largest
        come = evaluate(judged, principal.recommended)
        assert come.welfare == pytest.approx(solution.welfare)
        assert (come.payment > solution.payment) if nudge else (come.payment == pytest.approx(solution.payment))


# A run


def spec(mechanism: str = "principal-dqn", **changes: Any) -> RunSpec:
    values: dict[str, Any] = {"game": COIN, "rules": {"observation": "egocentric"}, "mechanism": mechanism}
    values |= {"principal": {"steps": 400}} if mechanism == "principal-dqn" else {}
    return RunSpec(**(values | {"steps": 400, "episodes": 256, "seed": 1} | changes))


def run(spec: RunSpec, out: Path) -> Path:
    list(perform(resolve(spec), out))
    return out / resolve(spec).folder


def audit_of(folder: Path) -> Audit:
    found = read_audit(folder)
    assert found is not None
    return found


def test_what_is_computed_is_what_is_played(tmp_path: Path) -> None:
    folder = run(spec(), tmp_path)
    found, rows = audit_of(folder), read_episodes(folder, "evaluate")
    for column, exact in (("welfare", found.learned.welfare), ("principal_payment", found.learned.payment)):
        assert abs(rows[column].mean() - exact) <= 4 * rows[column].std() / 16
    assert found.agreement == 1.0
    assert found.deviation_regret == pytest.approx(rows["deviation_regret"].mean())
    assert (rows["deviation_regret"] >= 0).all()
    assert read_episodes(folder, "validate")["deviation_regret"].isna().all()
    assert found.regrets["spe"]["learned"].welfare == pytest.approx(13.86 - found.learned.welfare, abs=1e-3)
    assert found.regrets["spe"]["followed"].payment == pytest.approx(found.followed.payment - 2.659, abs=1e-3)


def test_losses_along_the_way_add_up_to_what_the_best_reply_gains(tmp_path: Path) -> None:
    """In the finite game, where nothing is discounted, and in expectation."""
    folder = run(spec("selfish", rules={"observation": "egocentric", "truncates": False}, episodes=512), tmp_path)
    found, rows = audit_of(folder), read_episodes(folder, "evaluate")
    assert found.discount is None
    gains = sum(found.learned.gain)
    assert gains > 1.0
    assert abs(found.deviation_regret - gains) <= 4 * rows["deviation_regret"].std() / 512**0.5


def test_a_policy_that_is_blind_to_symmetry_is_told() -> None:
    """It goes where its own cell tells it to; the torus stands for nine cells with one."""
    resolved = resolve(spec("selfish", rules={}))
    mechanism = make_mechanism("selfish", resolved.game)
    keys = Simulation(resolved.game, mechanism, 16, seed=1, stream=unlearned.EVALUATE.stream).keys
    own_cell = lambda seen: seen.observations[:, :, 0].reshape(-1, 2, 9).argmax(2) % 4  # noqa: E731
    assert 0.0 < examine(resolved, mechanism, None, own_cell, keys).audit.agreement < 1.0


def test_ratios_and_regrets_of_a_run_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what defecting gains is paid, agent 0 follows, agent 1 defects."""
    known = {"principal": {"welfare": 6.0, "payment": 2.0}, "best_rate": {"welfare": 5.0, "payment": 0.25}}
    monkeypatch.setattr(module, "cached_summary", lambda game, alpha, discount: known)
    resolved = resolve(spec(game=PD, rules={}))
    mechanism = make_mechanism("principal-dqn", resolved.game)
    keys = Simulation(resolved.game, mechanism, 4, seed=1, stream=unlearned.EVALUATE.stream, principal=advise(0.5)).keys
    learned = lambda seen: np.tile([C, D], (len(seen.observations), 1))  # noqa: E731
    found, regrets = examine(resolved, mechanism, advise(0.5), learned, keys)
    assert found.spe_ratio == pytest.approx(8.0 / 7.0)
    assert found.ic_ratio == pytest.approx((1.0 + 4.0) / (0.5 + 3.5))  # against a defector, against a follower
    np.testing.assert_allclose(regrets, 0.5)
    assert found.followed.gain == pytest.approx([0.5, 0.5])
    assert found.learned.value == pytest.approx([0.5, 4.0])  # paid for cooperating with a defector; the defector
    assert found.learned.gain == pytest.approx([0.5, 0.0])
    assert found.learned.relative_gain == pytest.approx(0.5)  # by defecting, the follower would get 1
    assert found.regrets["spe"]["followed"].model_dump() == {"welfare": 0.0, "payment": -1.0}
    assert found.regrets["best_rate"]["learned"].model_dump() == {"welfare": 1.0, "payment": 0.25}
    assert examine(resolved, mechanism, advise(1.0), learned, keys).audit.worst == "lowest"  # both defect
    monkeypatch.setattr(module, "cached_summary", lambda game, alpha, discount: {})
    assert examine(resolved, mechanism, advise(0.5), learned, keys).audit.benchmarks == {}
    with pytest.raises(UsageError, match="cannot be played again"):
        examine(resolved, mechanism, advise(0.5), learned, keys + np.uint64(1))


def test_a_gain_is_a_share_of_the_value_or_of_the_best_response() -> None:
    def judged(**found: Any) -> Judged:
        return Judged(welfare=0.0, payment=0.0, gain_now=[0.0, 0.0], **found)

    assert judged(value=[10.0, 40.0], gain=[0.5, 1.0]).relative_gain == pytest.approx(0.5 / 10.5)
    assert judged(value=[-10.0, 1.0], gain=[1.0, 0.0]).relative_gain == pytest.approx(0.1)
    assert judged(value=[0.0, 0.0], gain=[0.0, 0.5]).relative_gain == 1.0
    assert judged(gain=[0.5, 1.0]).relative_gain is None  # from before values were kept


def test_what_cannot_be_judged_is_left_empty(tmp_path: Path) -> None:
    folder = run(spec("inequity-aversion"), tmp_path)
    assert read_audit(folder) is None
    assert read_episodes(folder, "evaluate")["deviation_regret"].isna().all()
    assert dataset.of_run(folder)["learned_gain"] is None


# Beside others


def test_columns_stand_in_every_format_and_old_tables_are_read(tmp_path: Path) -> None:
    folder = run(spec(), tmp_path / "runs")
    found, row = audit_of(folder), dataset.of_run(folder)
    assert row["followed_welfare"] == found.followed.welfare
    assert row["followed_gain"] == max(found.followed.gain)
    assert row["learned_gain_share"] == found.learned.relative_gain
    share, data = COLUMNS["learned_gain_share"].of_run, RunData(pd.DataFrame(), found, {})
    assert share is not None
    assert share(data._replace(audit=found.model_copy(update={"agreement": 0.92}))) is None
    assert row["deviation_regret"] == pytest.approx(found.deviation_regret)
    assert row["payment_regret_spe"] == pytest.approx(row["principal_payment"] - found.benchmarks["spe"].payment)
    comparison = compare(tmp_path / "runs")
    head, cells = audited_rows(comparison.groups[0])
    shown = dict(zip(head, cells, strict=True))
    assert shown["W obed."] == f"{found.followed.welfare:.2f}"
    assert shown["gap SPE"] == f"{row['welfare_regret_spe']:+.2f}"
    (line,) = json.loads(present(comparison, "json"))["groups"][0]["lines"]
    assert line["metrics"]["followed_gain"]["by_seed"] == {"1": row["followed_gain"]}
    assert all("dev. regret" in present(comparison, format, everything=True) for format in ("table", "markdown"))
    table = tmp_path / "table.csv"
    table.write_text(present(comparison, "csv"))
    assert compare(table).rows == comparison.rows
    audited = [name for name, column in COLUMNS.items() if column.stored is Stored.LATER]
    pd.read_csv(table).drop(columns=audited).to_csv(table, index=False)  # as it was before there were audits
    (again,) = compare(table).groups[0].lines
    assert again.values("followed_gain") == {}
    assert again.values("welfare_regret_spe") == {1: pytest.approx(row["welfare_regret_spe"])}  # from the exact rows


# The command line


def ran(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit:
        main(["audit", *map(str, arguments)])
    told = capsys.readouterr()
    return int(exit.value.code or 0), told.out, told.err


def test_the_command_judges_every_run_and_adds_one_file(tmp_path: Path, capsys: Any) -> None:
    folder, other = run(spec(), tmp_path), run(spec("drawn-contract"), tmp_path)
    before = {path.name for path in folder.iterdir()}
    made = (folder / AUDIT).read_bytes()
    (folder / AUDIT).unlink()
    code, out, err = ran(capsys, tmp_path)
    assert code == 0
    assert "obedient" in out
    assert "best-response ratio" in out
    assert str(other) in err
    assert {path.name for path in folder.iterdir()} == before
    assert (folder / AUDIT).read_bytes() == made  # the same whenever it is made
    code, out, _ = ran(capsys, folder, "--json")
    (each,) = json.loads(out)
    assert each["learned"]["welfare"] == audit_of(folder).learned.welfare


def test_mistakes_are_told_in_one_message(tmp_path: Path, capsys: Any) -> None:
    other = run(spec("drawn-contract"), tmp_path / "runs")
    for what, told in ((tmp_path / "none", "no folder"), (tmp_path, ""), (other, "remembers more")):
        code, out, err = ran(capsys, what)
        assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
        assert told in err


def test_a_run_that_cannot_be_loaded_is_left_out(tmp_path: Path, capsys: Any) -> None:
    good, bad = run(spec("selfish"), tmp_path), run(spec(), tmp_path)
    (bad / "principal.json").unlink()
    code, out, err = ran(capsys, tmp_path)
    assert code == 0
    assert "selfish" in out
    assert "cannot be read" in err
    assert str(good) not in err


def test_a_damaged_audit_is_named(tmp_path: Path) -> None:
    folder = run(spec("selfish"), tmp_path)
    (folder / AUDIT).write_text("{}")
    with pytest.raises(UsageError, match="audit the run again"):
        dataset.of_run(folder)
