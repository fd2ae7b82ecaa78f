"""Reward transfers: the published levels of Willis and Luck 2023 and closed forms, and who then pays whom."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paymaster import UsageError, make, make_mechanism
from paymaster.baselines import MECHANISMS
from paymaster.benchmarks.analysis import dataset
from paymaster.contracts.ledger import Ledger
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Mechanism, Transition
from paymaster.envs.matrix_games import PAIRWISE, MatrixGame, PublicGoods
from paymaster.equilibria.normal_form.transfer_levels import least_transfers, symmetric_level, symmetric_transfers

from ..envs.plain_game import PlainGame

GAME, THREE = PlainGame(), PlainGame(N=3)
PD, CHICKEN, STAG_HUNT = PAIRWISE["prisoners-dilemma"], PAIRWISE["chicken"], PAIRWISE["stag-hunt"]


def ledger(mechanism: Mechanism, rewards: list[list[float]]) -> Ledger:
    each = np.array(rewards, np.float32)
    none = np.zeros(len(each), bool)
    return mechanism.settle((), Transition((), (), np.zeros(each.shape, np.int64), (), each, (), none, none))[0]


def network(name: Any, pairwise: Any, players: int) -> np.ndarray:
    return MatrixGame(network=name, pairwise=pairwise, players=players).payoffs


def dominant(payoffs: np.ndarray, matrix: np.ndarray) -> bool:
    """Whether cooperating is weakly dominant under the transfers: the slow way, one joint action after the other."""
    N, earned = payoffs.shape[-1], payoffs @ matrix
    return all(
        earned[(*others[:i], 0, *others[i:])][i] >= earned[(*others[:i], 1, *others[i:])][i] - 1e-6
        for i in range(N)
        for others in product((0, 1), repeat=N - 1)
    )


# The published levels, and closed forms


def test_prisoners_dilemma() -> None:
    payoffs = make("matrix/prisoners-dilemma").payoffs  # type: ignore[attr-defined]
    assert symmetric_level(payoffs) == pytest.approx(0.75)
    matrix, level = least_transfers(payoffs)
    assert level == pytest.approx(0.75)
    np.testing.assert_allclose(matrix, [[0.75, 0.25], [0.25, 0.75]], atol=1e-7)


@pytest.mark.parametrize(
    "payoffs",
    [
        make("matrix/asymmetric-prisoners-dilemma").payoffs,  # type: ignore[attr-defined]
        np.array([[[6, 3], [0, 4]], [[8, 0], [2, 1]]]),
        np.array([[[8, 5], [2, 6]], [[10, 2], [4, 3]]]),
    ],
)
def test_asymmetric_prisoners_dilemmas(payoffs: np.ndarray) -> None:
    assert symmetric_level(payoffs) == pytest.approx(0.6)
    np.testing.assert_allclose(least_transfers(payoffs).matrix, [[0.6, 0.4], [0.4, 0.6]], atol=1e-7)


def test_cyclical_prisoners_dilemma_of_three() -> None:
    """Everyone depends on the next agent, and so gives it a part of its reward."""
    payoffs = network("cyclical", PD, 3)
    assert symmetric_level(payoffs) == pytest.approx(0.6)
    matrix, level = least_transfers(payoffs)
    assert level == pytest.approx(0.75)
    np.testing.assert_allclose(matrix, [[0.75, 0.25, 0], [0, 0.75, 0.25], [0.25, 0, 0.75]], atol=1e-7)


@pytest.mark.parametrize(("players", "level"), [(2, 2 / 3), (3, 1 / 2), (4, 2 / 5), (5, 1 / 3)])
@pytest.mark.parametrize("pairwise", [CHICKEN, STAG_HUNT])
def test_symmetrical_chicken_and_stag_hunt(pairwise: Any, players: int, level: float) -> None:
    assert symmetric_level(network("symmetrical", pairwise, players)) == pytest.approx(level)


@pytest.mark.parametrize(("pairwise", "level"), [(PD, 3 / 4), (CHICKEN, 2 / 3), (STAG_HUNT, 2 / 3)])
@pytest.mark.parametrize("players", [2, 3, 4, 5])
def test_cyclical_games_cost_the_same_however_many_play(pairwise: Any, level: float, players: int) -> None:
    assert least_transfers(network("cyclical", pairwise, players)).level == pytest.approx(level)


@pytest.mark.parametrize(("players", "level"), [(4, 6 / 11), (5, 1 / 2)])
def test_circular_prisoners_dilemma(players: int, level: float) -> None:
    assert least_transfers(network("circular", PD, players)).level == pytest.approx(level)


@pytest.mark.parametrize("players", [2, 3, 5, 8])
@pytest.mark.parametrize(("c", "d"), [(3.0, 1.0), (2.0, 3.0)])
def test_prisoners_dilemma_of_many(players: int, c: float, d: float) -> None:
    """Defecting gains d, and loses the others c together: s d = (1 - s) c / (N - 1)."""
    payoffs = network("symmetrical", (c, 0.0, c + d, d), players)
    assert symmetric_level(payoffs) == pytest.approx(c / (c + d * (players - 1)))


@pytest.mark.parametrize(("players", "multiplier"), [(2, 1.5), (4, 1.6), (5, 3.0)])
def test_public_goods(players: int, multiplier: float) -> None:
    payoffs = PublicGoods(players=players, multiplier=multiplier).payoffs
    assert symmetric_level(payoffs) == pytest.approx(multiplier / players)


def test_iterated_prisoners_dilemma() -> None:
    assert symmetric_level(make("matrix/iterated-prisoners-dilemma").payoffs) == pytest.approx(2 / 3)  # type: ignore[attr-defined]


# What the levels mean


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(2, 4))
def test_the_levels_are_the_last_at_which_cooperating_is_dominant(data: st.DataObject, N: int) -> None:
    payoffs = data.draw(hnp.arrays(np.float64, (2,) * N + (N,), elements=st.integers(-4, 4)))
    level, (matrix, kept) = symmetric_level(payoffs), least_transfers(payoffs)
    if np.isnan(level):
        assert not any(dominant(payoffs, symmetric_transfers(N, s)) for s in np.linspace(0, 1, 41))
    else:
        assert dominant(payoffs, symmetric_transfers(N, level))
        assert not any(dominant(payoffs, symmetric_transfers(N, s)) for s in np.linspace(0, 1, 201) if s > level + 1e-3)
        assert kept >= level - 1e-7, "a matrix may do what symmetric transfers do"
    if not np.isnan(kept):
        assert dominant(payoffs, matrix)
        assert np.diagonal(matrix).min() == pytest.approx(kept, abs=1e-6)
        np.testing.assert_allclose(matrix.sum(axis=1), 1)


def test_who_gains_by_cooperating_keeps_all() -> None:
    harmony = np.array([[[3, 3], [2, 2]], [[2, 2], [0, 0]]])
    assert symmetric_level(harmony) == 1.0
    assert least_transfers(harmony).level == pytest.approx(1.0)


def test_nothing_makes_everyone_do_what_hurts_all() -> None:
    harmful = np.array([[[0, 0], [1, 1]], [[1, 1], [2, 2]]])
    assert np.isnan(symmetric_level(harmful))
    matrix, level = least_transfers(harmful)
    assert np.isnan(level)
    assert np.isnan(matrix).all()


@pytest.mark.parametrize("shape", [(3, 3, 2), (2, 2, 3), (2, 2)])
def test_payoffs_must_be_a_game_of_two_actions(shape: tuple[int, ...]) -> None:
    for of in (symmetric_level, least_transfers):
        with pytest.raises(UsageError, match="two actions for each"):
            of(np.zeros(shape))


# The mechanisms


def test_symmetric_transfers_by_hand() -> None:
    mechanism = make_mechanism("symmetric-transfer", THREE, self_interest=0.6)
    rewards = [[1.0, 0.0, -2.0]]
    settled = ledger(mechanism, rewards)
    # 0.6 r_i + 0.2 sum of the others'
    np.testing.assert_allclose(np.array(rewards) + settled.income(), [[0.2, -0.2, -1.0]], atol=1e-6)
    # of agent 2's loss agent 0 bears 0.4, and it owes agent 2 0.2 of its own reward: it pays both together
    np.testing.assert_allclose(settled.transfers, [[[0, 0.2, 0.6], [0, 0, 0.4], [0, 0, 0]]], atol=1e-6)
    assert not settled.payments.any()
    assert not settled.shaping.any()


def test_a_matrix_by_hand() -> None:
    matrix = [[0.75, 0.0, 0.25], [0.25, 0.75, 0.0], [0.0, 0.25, 0.75]]
    settled = ledger(make_mechanism("transfer-matrix", THREE, matrix=matrix), [[4.0, 8.0, 0.0], [0.0, 0.0, -4.0]])
    np.testing.assert_allclose(
        settled.transfers, [[[0, 0, 1], [2, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 1], [0, 0, 0]]]
    )
    np.testing.assert_allclose(settled.received(), [[1, -2, 1], [0, -1, 1]])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_matrix_gives_everyone_its_parts(data: st.DataObject) -> None:
    parts = data.draw(hnp.arrays(np.float64, (3, 3), elements=st.floats(0.01, 1)))
    rewards = data.draw(hnp.arrays(np.float32, (2, 3), elements=st.floats(-50, 50, width=32)))
    matrix = parts / parts.sum(axis=1, keepdims=True)
    settled = ledger(make_mechanism("transfer-matrix", THREE, matrix=matrix.tolist()), rewards.tolist())
    np.testing.assert_allclose(rewards + settled.income(), rewards @ matrix, atol=1e-4)
    assert not (settled.transfers * settled.transfers.transpose(0, 2, 1)).any(), "money never goes both ways"


def test_a_symmetric_transfer_is_a_matrix_and_a_constant_share() -> None:
    rewards = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32).tolist()
    symmetric = ledger(make_mechanism("symmetric-transfer", THREE, self_interest=0.7), rewards)
    matrix = symmetric_transfers(3, 0.7).tolist()
    np.testing.assert_allclose(
        ledger(make_mechanism("transfer-matrix", THREE, matrix=matrix), rewards).transfers, symmetric.transfers
    )
    shared = ledger(make_mechanism("constant-share", THREE, share=0.3 * 3 / 2), rewards)  # s = 1 - p (N - 1) / N
    np.testing.assert_allclose(shared.transfers, symmetric.transfers, atol=1e-6)


def test_all_kept_is_selfish() -> None:
    for mechanism in (
        make_mechanism("symmetric-transfer", GAME, self_interest=1.0),
        make_mechanism("transfer-matrix", GAME),
    ):
        assert not ledger(mechanism, [[1.0, -2.0]]).transfers.any()


def test_under_the_least_transfers_nobody_gains_by_defecting() -> None:
    game = make("matrix/circular-prisoners-dilemma")
    matrix, level = least_transfers(game.payoffs)  # type: ignore[attr-defined]
    assert level == pytest.approx(6 / 11)
    mechanism = make_mechanism("transfer-matrix", game, matrix=matrix.tolist())
    joint = np.array(list(product((0, 1), repeat=4)))
    earned = Simulation(game, mechanism, len(joint), seed=0).step(joint).earned.reshape(2, 2, 2, 2, 4)
    for agent in range(4):
        cooperating, defecting = np.moveaxis(earned, agent, 0)[..., agent]
        assert (cooperating >= defecting - 1e-5).all()


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        ([[1.0, 0.0]], "got rows of 2 numbers; give 2 rows of 2, or none"),
        ([[1.0, 0.0], [1.0]], "got rows of 2, 1 numbers"),
        ([[0.5, 0.4], [0.5, 0.5]], "the parts of the reward of agent_0 sum to 0.9; they must sum to 1"),
        ([[1.5, -0.5], [0.5, 0.5]], "less than or equal to 1 .got 1.5"),
    ],
)
def test_a_matrix_that_is_none_is_told(matrix: list[list[float]], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make_mechanism("transfer-matrix", GAME, matrix=matrix)


# The table of published numbers


LEVELS = ("s*", "g*")


def published() -> list[Any]:
    return [row for row in dataset.read(dataset.PUBLISHED)[1] if row.metric in LEVELS]


def test_the_published_table_has_the_levels_of_matrix_games() -> None:
    assert {row.metric for row in published()} == set(LEVELS)
    assert all(row.game.startswith("matrix/") for row in published())
    assert {row.mechanism for row in published()} < set(MECHANISMS)


@pytest.mark.parametrize("row", published(), ids=lambda row: f"{row.metric} {row.game} {row.agents}")
def test_every_published_level_is_that_of_the_game_it_names(row: Any) -> None:
    for players in (2, 3, 4, 5) if row.agents == "any" else (int(row.agents),):
        payoffs = make(row.game, players=players).payoffs  # type: ignore[attr-defined]
        level = symmetric_level(payoffs) if row.metric == "s*" else least_transfers(payoffs).level
        assert level == pytest.approx(row.low, abs=5e-4)
