"""The principal-agent bandit: the rules by hand, chance, the exact solutions, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from paymaster import UsageError, make
from paymaster.core.random import episode_keys
from paymaster.envs.principal_agent_bandit import PrincipalAgentBandit
from paymaster.equilibria.solve import summary
from paymaster.equilibria.tables.tabulate import tabulate
from paymaster.render.page import text

FIVE = "principal_agent_bandit/scheid-5"
TWO = PrincipalAgentBandit(rewards_of=(1.0, 0.25), gains_of=(0.0, 2.0), noise=0.5)


@pytest.mark.parametrize(
    ("arm", "draw", "agent", "gain"), [(0, 0.4, 1.0, 0.5), (1, 0.4, 0.25, 2.5), (1, 0.6, 0.25, 1.5)]
)
def test_a_round_by_hand(arm: int, draw: float, agent: float, gain: float) -> None:
    state, events = TWO.play(TWO.reset(np.zeros(1, np.uint64)), np.array([[arm]]), np.array([[draw]]))
    assert (TWO.rewards(events).item(), TWO.principal_reward(events).item()) == (agent, gain)
    np.testing.assert_array_equal(TWO.facts(events)[0, 0], np.eye(2)[arm])
    assert TWO.terminated(state).all()
    assert TWO.observe(state).item() == 0
    assert f"arm_{arm + 1} gains the principal {gain:.2f}" in text(TWO.scene(state, events, 0))


def test_gains_have_their_mean_and_deviation() -> None:
    game, B = make(FIVE), 20_000
    state = game.reset(episode_keys(0, 0, np.arange(B), np.zeros(B, np.int64)))
    gains = game.principal_reward(game.step(state, np.full((B, 1), 2))[1])
    assert gains.mean() == pytest.approx(0.88, abs=4 / B**0.5)
    assert gains.std() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose(tabulate(game).objective, [[0.30, 0.24, 0.88, 0.07, 0.65]], rtol=1e-6)


def test_the_exact_solutions_by_hand() -> None:
    """What an arm takes is 0.99 less what it earns: 0.35, 0, 0.26, 0.38, 0.40; less that, arm 3 gains most, 0.62."""
    rows = summary(make(FIVE))["hidden_actions"]
    assert rows["no_contract"]["utility"] == pytest.approx(0.24)
    assert rows["principal"]["actions"] == [0, 0, 1, 0, 0]
    assert rows["principal"]["payment"] == pytest.approx(0.99 - 0.73, abs=1e-6)
    assert rows["principal"]["utility"] == pytest.approx(0.62, abs=1e-6)
    assert rows["social_optimum"]["actions"] == [0, 0, 1, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_the_exact_principal_is_that_of_all_arms_tried(seed: int) -> None:
    dice = np.random.default_rng(seed)
    rewards, gains = dice.uniform(0, 1, (2, 4)).round(2)
    game = PrincipalAgentBandit(rewards_of=tuple(rewards.tolist()), gains_of=tuple(gains.tolist()))
    best = max(gain - (max(rewards) - reward) for reward, gain in zip(rewards, gains, strict=True))
    assert summary(game)["hidden_actions"]["principal"]["utility"] == pytest.approx(best, abs=1e-6)


def test_numbers_that_do_not_fit_are_told() -> None:
    with pytest.raises(UsageError, match="rewards are given of 5 arms and gains of 2"):
        make(FIVE, gains_of=(1.0, 2.0))
    with pytest.raises(UsageError, match="actions from 2 to 2 were played"):
        TWO.step(TWO.reset(np.zeros(1, np.uint64)), np.array([[2]]))
