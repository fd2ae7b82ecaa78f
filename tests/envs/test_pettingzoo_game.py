"""A PettingZoo environment as a game: the loop, learning and replays play it; what it cannot be is refused."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from pettingzoo import ParallelEnv

from paymaster.baselines import make_mechanism
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Mechanism
from paymaster.core.arrays import where
from paymaster.core.config import UsageError, configuration
from paymaster.envs.game import missing_members
from paymaster.envs.pettingzoo_game import PettingZooGame
from paymaster.equilibria.tables.table import tabular

STAYS, TAKES = 0, 1
KEYS = np.array([5, 6, 7], np.uint64) << np.uint64(32)


class Commons(ParallelEnv[str, Any, Any]):
    """Who takes (2, not 1) earns 1 and costs each other 0.25. The first leaves at `leaves`; all are cut at `cut`."""

    metadata: ClassVar = {"name": "commons"}

    def __init__(self, *, leaves: int = 3, ends: int = 99, cut: int = 6, seen: Space[Any] | None = None) -> None:
        self.possible_agents = ["ann", "bob", "cyd"]
        self.leaves, self.ends, self.cut = leaves, ends, cut
        self.seen: Space[Any] = seen or Box(0, 1, (2,), np.float32)

    def observation_space(self, agent: str) -> Space[Any]:
        return self.seen

    @cache  # noqa: B019 (PettingZoo wants the same object every time)
    def action_space(self, agent: str) -> Space[Any]:
        return Discrete(2, start=1)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.seen.seed(seed)
        self.t, self.agents = 0, list(self.possible_agents)
        return {agent: self.seen.sample() for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> Any:
        assert actions.keys() == set(self.agents)
        self.t += 1
        there = self.agents
        took = {agent: actions[agent] == 2 for agent in there}
        rewards = {agent: took[agent] - 0.25 * (sum(took.values()) - took[agent]) for agent in there}
        gone = {agent: self.t >= self.ends or (agent == "ann" and self.t >= self.leaves) for agent in there}
        cut = dict.fromkeys(there, self.t >= self.cut)
        self.agents = [agent for agent in there if not gone[agent] and not cut[agent]]
        return {agent: self.seen.sample() for agent in there}, rewards, gone, cut, {agent: {} for agent in there}


@configuration
class CommonsGame(PettingZooGame):
    """The environment above."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"three": {}}

    horizon: int = 10
    leaves: int = 3
    ends: int = 99
    cut: int = 6

    def make_env(self) -> Commons:
        return Commons(leaves=self.leaves, ends=self.ends, cut=self.cut)


def play(game: PettingZooGame, steps: int, action: int = TAKES, B: int = 2) -> list[Any]:
    loop = Simulation(game, Mechanism(game=game), B, seed=3)
    return [loop.step(np.full((B, 3), action)) for _ in range(steps)]


def test_it_is_a_family_of_games() -> None:
    assert missing_members(CommonsGame) == ""
    game = CommonsGame()
    assert game.agents == ("ann", "bob", "cyd")
    assert game.action_names == ("0", "1")
    assert game.observation_space.shape == (2,)
    assert game.classes == 0


def test_an_episode_by_hand() -> None:
    steps = play(CommonsGame(), 6)
    # three take: 1 - 2 * 0.25 each; after step 3 ann has left, so two take: 1 - 0.25 each
    for step in steps[:3]:
        np.testing.assert_allclose(step.transition.rewards, 0.5)
    for step in steps[3:]:
        np.testing.assert_allclose(step.transition.rewards, [[0.0, 0.75, 0.75]] * 2)
    assert (CommonsGame().observe(steps[2].transition.next_state)[:, 0] != 0).all()  # the last that ann sees
    assert (CommonsGame().observe(steps[3].transition.next_state)[:, 0] == 0).all()
    assert (CommonsGame().observe(steps[3].transition.next_state)[:, 1:] != 0).all()
    np.testing.assert_allclose(steps[5].episodes.returns, [[1.5, 1.5 + 2.25, 1.5 + 2.25]] * 2)
    assert steps[5].episodes.length.tolist() == [6, 6]


@pytest.mark.parametrize(
    ("rules", "last", "terminated", "truncated"),
    [
        ({"ends": 4}, 4, True, False),
        ({"cut": 5}, 5, False, True),  # ann was terminated at 3, the others cut
        ({"leaves": 99, "cut": 2}, 2, False, True),
        ({"horizon": 3}, 3, False, True),  # by the loop
        ({"ends": 4, "horizon": 4}, 4, True, False),
    ],
)
def test_terminated_and_truncated_are_kept_apart(
    rules: dict[str, int], last: int, terminated: bool, truncated: bool
) -> None:
    steps = play(CommonsGame(**rules), last)
    assert not any(step.ended.any() for step in steps[:-1])
    assert (steps[-1].transition.terminated == terminated).all()
    assert (steps[-1].transition.truncated == truncated).all()


def test_an_episode_depends_on_its_key_alone() -> None:
    game = CommonsGame()
    alone, beside = game.reset(KEYS[1:2]), game.reset(KEYS)
    for _ in range(4):
        np.testing.assert_array_equal(game.observe(alone)[0], game.observe(beside)[1])
        assert not (game.observe(beside)[0] == game.observe(beside)[1]).all()
        alone, _ = game.step(alone, np.full((1, 3), STAYS))
        beside, _ = game.step(beside, np.full((3, 3), TAKES))


def test_an_environment_that_ended_is_replaced_and_the_others_go_on() -> None:
    game = CommonsGame()
    state, _ = game.step(game.reset(KEYS), np.full((3, 3), STAYS))
    renewed = where(np.array([True, False, False]), game.reset(KEYS + np.uint64(1 << 40)), state)
    assert renewed.t.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(game.observe(renewed)[1:], game.observe(state)[1:])
    assert not (game.observe(renewed)[0] == game.observe(state)[0]).any()
    after, _ = game.step(renewed, np.full((3, 3), STAYS))
    assert after.t.tolist() == [1, 2, 2]


def test_environments_are_made_only_when_they_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Commons] = []
    monkeypatch.setattr(CommonsGame, "make_env", lambda self: made.append(Commons(cut=6)) or made[-1])
    play(CommonsGame(), 12, B=4)
    assert len(made) == 1 + 3 * 4  # one to be asked for its spaces; three episodes begun in each of four


def test_an_earlier_state_is_not_played_again() -> None:
    game = CommonsGame()
    state = game.reset(KEYS)
    seen = game.observe(state)
    game.step(state, np.full((3, 3), STAYS))
    np.testing.assert_array_equal(game.observe(state), seen)
    with pytest.raises(UsageError, match="step 0 of an episode was to be played again, which stands at step 1"):
        game.step(state, np.full((3, 3), STAYS))


def test_what_needs_a_table_or_names_is_refused() -> None:
    game = CommonsGame()
    with pytest.raises(UsageError, match="does not list the outcomes"):
        tabular(game)
    with pytest.raises(UsageError, match="CommonsGame names none"):
        make_mechanism("principal-ppo", game).check_principal()
    with pytest.raises(UsageError, match="a contract pays on"):
        make_mechanism("drawn-contract", game)


@pytest.mark.parametrize(
    "id", ["selfish", "joint", "constant-share", "symmetric-transfer", "inequity-aversion", "social-value-orientation"]
)
def test_mechanisms_that_settle_by_rewards_play_it(id: str) -> None:
    game = CommonsGame()
    loop = Simulation(game, make_mechanism(id, game), 2, seed=3)
    for _ in range(7):
        step = loop.step(np.array([[TAKES, STAYS, STAYS]] * 2))
    assert np.isfinite(step.earned).all()
    if id == "joint":
        np.testing.assert_allclose(step.earned, 1 - 0.25 * 2)


def test_classes_are_seen_from_zero() -> None:
    class Numbered(CommonsGame):
        def make_env(self) -> Commons:
            return Commons(seen=Discrete(4, start=2))

    game = Numbered()
    state = game.reset(KEYS)
    assert (game.classes, game.observation_space.shape) == (4, (1, 1))
    assert game.observe(state).shape == (3, 3, 1, 1)
    assert game.world(state).shape == (3, 1, 3)
    assert game.observe(state).min() >= 0
    assert game.observe(state).max() <= 3


class Different(Commons):
    """Each agent sees something else."""

    def observation_space(self, agent: str) -> Space[Any]:
        return Box(0, 1, (2 + (agent == "bob"),), np.float32)


class Many(Commons):
    """Two actions at once."""

    def action_space(self, agent: str) -> Space[Any]:
        return MultiDiscrete([2, 2])


class Late(Commons):
    """Bob comes later."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        seen, infos = super().reset(seed)
        self.agents.remove("bob")
        return seen, infos


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (Different(), "the observation spaces of ann and of others differ"),
        (Many(), "the action space is MultiDiscrete"),
        (Commons(seen=MultiDiscrete([2, 2])), "the observation space is MultiDiscrete"),
        (Late(), "starts with ann, cyd of the agents ann, bob, cyd"),
    ],
)
def test_an_environment_that_is_no_game_is_refused(env: Commons, message: str) -> None:
    class Foreign(CommonsGame):
        def make_env(self) -> Commons:
            return env

    with pytest.raises(UsageError, match=message):
        play(Foreign(), 1)


@pytest.mark.filterwarnings("ignore:.*render method without specifying:UserWarning")  # its own, at the last step
def test_one_of_pettingzoos_own() -> None:
    @configuration
    class Pong(PettingZooGame):
        """Two paddles keep a ball in play."""

        presets: ClassVar[dict[str, dict[str, Any]]] = {"short": {}}

        horizon: int = 20

        def make_env(self) -> Any:
            return pettingzoo.make("parallel", "butterfly/cooperative_pong-v6", max_cycles=self.horizon)

    game = Pong()
    loop = Simulation(game, make_mechanism("joint", game), 1, seed=1)
    for _ in range(20):
        step = loop.step(np.zeros((1, 2), np.int64))
        if step.ended[0]:
            break
    assert step.ended[0]
    assert loop.seen.observations.shape == (1, 2, *game.observation_space.shape)
