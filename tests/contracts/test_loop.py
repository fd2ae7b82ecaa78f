"""The loop: episodes that end and begin anew, their tallies, their keys, and the principal's money."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paymaster import make, make_mechanism
from paymaster.contracts.episodes import Episodes
from paymaster.contracts.loop import Loop, Minds, Simulation
from paymaster.contracts.mechanism import Decisions, Mechanism, Transition
from paymaster.contracts.recommendation import RecommendationContract
from paymaster.core.config import UsageError, configuration
from paymaster.core.random import episode_keys
from paymaster.envs.game import Game

from ..envs.plain_game import PlainGame

MUCH, LITTLE, LOSE, LEAVE = range(4)
GAME = PlainGame(horizon=3)


def loop(game: Game = GAME, B: int = 1, **more: Any) -> Simulation:
    return Simulation(game, Mechanism(game=game), B, seed=7, **more)


def always(recommended: list[int], promised: list[float]) -> Any:
    """A principal that always decides the same."""

    def decide(game: Game, state: Any) -> Decisions:
        B = len(state.key)
        return Decisions(np.tile(recommended, (B, 1)), np.tile(np.float32(promised), (B, 1)))

    return decide


# Ends


def test_a_horizon_that_cuts_truncates() -> None:
    playing = loop()
    steps = [playing.step(np.array([[MUCH, LOSE]])) for _ in range(3)]
    assert [bool(step.transition.truncated[0]) for step in steps] == [False, False, True]
    assert not any(step.transition.terminated[0] for step in steps)
    assert [bool(step.ended[0]) for step in steps] == [False, False, True]


def test_a_horizon_that_ends_terminates() -> None:
    playing = loop(PlainGame(horizon=3, truncates=False))
    steps = [playing.step(np.array([[MUCH, LOSE]])) for _ in range(3)]
    assert [bool(step.transition.terminated[0]) for step in steps] == [False, False, True]
    assert not any(step.transition.truncated[0] for step in steps)


def test_a_natural_end_terminates_even_at_the_horizon() -> None:
    playing = loop()
    early = playing.step(np.array([[LEAVE, LEAVE]]))
    assert early.transition.terminated[0]
    assert not early.transition.truncated[0]
    playing.step(np.array([[MUCH, MUCH]]))
    playing.step(np.array([[MUCH, MUCH]]))
    last = playing.step(np.array([[LEAVE, LEAVE]]))
    assert last.transition.terminated[0]
    assert not last.transition.truncated[0]


def test_the_last_observation_is_kept_and_the_next_episode_has_begun() -> None:
    playing = loop()
    for _ in range(3):
        step = playing.step(np.array([[MUCH, MUCH]]))
    np.testing.assert_array_equal(playing.seen_after(step).observations, GAME.observe(step.transition.next_state))
    new = GAME.reset(episode_keys(7, 0, np.array([0]), np.array([1])))
    np.testing.assert_array_equal(playing.seen.observations, GAME.observe(new))
    assert not np.array_equal(playing.seen_after(step).observations, playing.seen.observations)


# Tallies


def test_tallies_are_the_sums() -> None:
    mechanism = make_mechanism("constant-share", GAME, share=0.5)
    playing = Simulation(GAME, mechanism, 2, seed=7)
    played = [
        np.array([[MUCH, LITTLE], [LOSE, MUCH]]),  # transfers .75 / 4 from 0 to 1; 3 / 4 from 1 to 0
        np.array([[LITTLE, MUCH], [LEAVE, LEAVE]]),  # .75 / 4 back; the second environment ends
        np.array([[LOSE, LOSE], [MUCH, MUCH]]),  # nothing; the first environment is cut
        np.array([[MUCH, MUCH], [LEAVE, LEAVE]]),  # the second environment ends again
    ]
    ended = [step.episodes for step in map(playing.step, played) if step.episodes]
    episodes = ended[0] + ended[1] + ended[2]
    assert isinstance(episodes, Episodes)
    np.testing.assert_array_equal(episodes.steps, [4, 6, 8])
    np.testing.assert_array_equal(episodes.length, [2, 3, 2])
    np.testing.assert_allclose(episodes.returns, [[-2, 1], [-0.75, -0.75], [1, 1]])
    np.testing.assert_allclose(episodes.transfers, [[0.75, -0.75], [0, 0], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(episodes.transfer_volume, [0.75, 0.375, 0], atol=1e-6)
    assert not episodes.payments.any()
    assert not episodes.shaping.any()
    assert np.isnan(episodes.compliance).all()


def test_a_recommendation_is_paid_if_and_only_if_it_is_followed() -> None:
    mechanism = make_mechanism("principal-dqn", GAME)
    playing = Simulation(GAME, mechanism, 1, seed=7, principal=always([LITTLE, LOSE], [0.5, 2.0]))
    np.testing.assert_array_equal(playing.seen.terms, [[[0, 1, 0, 0], [0, 0, 1, 0]]])
    first = playing.step(np.array([[LITTLE, MUCH]]))
    np.testing.assert_allclose(first.earned, [[0.75, 1.0]])
    playing.step(np.array([[LITTLE, LOSE]]))
    last = playing.step(np.array([[MUCH, LEAVE]])).episodes
    assert last is not None
    np.testing.assert_allclose(last.payments, [[1.0, 2.0]])
    np.testing.assert_allclose(last.returns, [[1.5, -1.0]])
    np.testing.assert_allclose(last.compliance, [3 / 6])


def test_advice_shows_the_same_and_pays_nothing() -> None:
    playing = Simulation(GAME, make_mechanism("advice", GAME), 1, seed=7, principal=always([LITTLE, LOSE], [0.5, 2.0]))
    np.testing.assert_array_equal(playing.seen.terms, [[[0, 1, 0, 0], [0, 0, 1, 0]]])
    np.testing.assert_allclose(playing.step(np.array([[LITTLE, LOSE]])).earned, [[0.25, -2.0]])


def test_memory_starts_anew_with_each_episode() -> None:
    """The second environment ends after its first step, while the first goes on and remembers."""
    mechanism = make_mechanism("inequity-aversion", GAME, envy=1.0, guilt=0.0, discount=1.0, smoothing=0.5)
    playing = Simulation(GAME, mechanism, 2, seed=7)
    playing.step(np.array([[MUCH, LOSE], [LEAVE, LEAVE]]))
    playing.step(np.array([[MUCH, MUCH], [MUCH, LOSE]]))
    np.testing.assert_allclose(playing.memory, [[1.5, 0.0], [1.0, -2.0]])
    playing.step(np.array([[LEAVE, MUCH], [MUCH, MUCH]]))
    np.testing.assert_allclose(playing.memory, [[0.0, 0.0], [1.5, 0.0]])


# Keys


def test_an_episode_depends_on_its_seed_stream_environment_and_number_alone() -> None:
    actions = np.random.default_rng(0).integers(0, 4, (30, 6, 2))
    together = loop(B=6)
    alone = [loop(first=b) for b in range(6)]
    keys = set()
    for chosen in actions:
        step = together.step(chosen)
        keys |= set(together.keys.tolist())
        for b, one in enumerate(alone):
            other = one.step(chosen[b : b + 1])
            np.testing.assert_array_equal(
                together.seen_after(step).observations[b], one.seen_after(other).observations[0]
            )
            np.testing.assert_array_equal(step.earned[b], other.earned[0])
            np.testing.assert_array_equal(together.keys[b], one.keys[0])
    assert len(keys) == 6 + together.episode.sum(), "every episode has a key of its own"


def test_keys_follow_seed_stream_environment_and_episode() -> None:
    playing = loop(B=3, stream=2, first=10)
    np.testing.assert_array_equal(playing.keys, episode_keys(7, 2, np.array([10, 11, 12]), np.zeros(3, np.int64)))
    episodes = playing.step(np.array([[MUCH, MUCH], [LEAVE, LEAVE], [MUCH, MUCH]])).episodes
    assert episodes is not None
    np.testing.assert_array_equal(episodes.key, episode_keys(7, 2, np.array([11]), np.array([0])))
    np.testing.assert_array_equal(playing.keys, episode_keys(7, 2, np.array([10, 11, 12]), np.array([0, 1, 0])))


def test_streams_and_seeds_do_not_share_keys() -> None:
    environments, episodes = np.arange(50).repeat(20), np.tile(np.arange(20), 50)
    keys = [episode_keys(seed, stream, environments, episodes) for seed in range(5) for stream in range(4)]
    assert len(np.unique(np.concatenate(keys))) == 5 * 4 * 1000


def test_restart_plays_the_same_again() -> None:
    playing = loop(B=2)
    actions = np.random.default_rng(1).integers(0, 4, (10, 2, 2))
    first = [playing.step(chosen) for chosen in actions]
    seen = playing.seen
    playing.restart()
    for before, chosen in zip(first, actions, strict=True):
        again = playing.step(chosen)
        np.testing.assert_array_equal(before.after.state.key, again.after.state.key)
        np.testing.assert_array_equal(before.earned, again.earned)
    np.testing.assert_array_equal(seen.observations, playing.seen.observations)


# What a principal is asked, and when


class Asked:
    """A principal that counts the environments about which it is asked."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, game: Game, state: Any) -> Decisions:
        B = len(state.key)
        self.rows.append(B)
        return Decisions(np.zeros((B, 2), np.int64), np.ones((B, 2), np.float32))


def test_a_principal_is_asked_once_about_each_step_and_not_where_an_episode_ended() -> None:
    asked = Asked()
    game = PlainGame(horizon=1, truncates=False)
    playing = Simulation(game, RecommendationContract(game=game), 3, seed=0, principal=asked)
    for _ in range(4):
        playing.step(np.full((3, 2), LITTLE))
    assert asked.rows == [3] * 5


def test_a_loop_without_its_decisions_shows_no_terms() -> None:
    playing = Loop(GAME, RecommendationContract(game=GAME), 2, seed=0)
    assert playing.terms is None
    assert not playing.seen.terms.any()
    with pytest.raises(ValueError, match="needs a principal's decisions"):
        playing.offer(None)
    playing.offer(Decisions(np.full((2, 2), LITTLE), np.ones((2, 2), np.float32)))
    assert (playing.seen.terms.argmax(axis=-1) == LITTLE).all()


def test_where_an_episode_was_cut_terms_are_those_of_one_more_step_and_where_it_ended_none() -> None:
    playing = Loop(GAME, RecommendationContract(game=GAME), 2, seed=0)
    for _ in range(GAME.horizon):
        playing.offer(Decisions(np.full((2, 2), LITTLE), np.ones((2, 2), np.float32)))
        step = playing.step(np.full((2, 2), LITTLE))
    playing.offer(Decisions(np.full((2, 2), MUCH), np.ones((2, 2), np.float32)))
    cut = np.array([True, False])
    following = playing.following(step, cut, Decisions(np.full((1, 2), LEAVE), np.ones((1, 2), np.float32)))
    assert (following.terms[0].argmax(axis=-1) == LEAVE).all()
    assert not following.terms[1].any()
    np.testing.assert_array_equal(following.observations, GAME.observe(step.transition.next_state))
    assert (playing.seen.terms.argmax(axis=-1) == MUCH).all()


@pytest.mark.parametrize("memory", [{"left": np.zeros(2)}, [np.zeros(2)], (np.zeros(2), 3.0), np.zeros(3)])
def test_a_memory_that_could_not_be_begun_anew_is_refused(memory: Any) -> None:
    @configuration
    class Forgetful(Mechanism):
        def start(self, keys: np.ndarray) -> Any:
            return memory

    with pytest.raises(
        UsageError, match=r"the memory of Forgetful holds a .*; allowed: arrays whose first axis is the 2"
    ):
        Simulation(GAME, Forgetful(game=GAME), 2, seed=0)


def test_terms_are_told_by_the_mechanism_and_probation_keeps_its_recommendations() -> None:
    strict = RecommendationContract(game=GAME, probation=2)
    playing = Simulation(GAME, strict, 1, seed=0, principal=always([LITTLE, LITTLE], [1.0, 1.0]))
    playing.step(np.array([[LITTLE, MUCH]]))
    told = strict.summary(playing.terms, 1)
    assert told.recommended.tolist() == [[LITTLE, LITTLE]]
    assert told.promised.tolist() == [[1.0, 0.0]]
    assert told.words.tolist() == [["", "probation 2"]]


# What agents remember


class Counting:
    """Agents that remember how many steps their episode had, and what they earned in it."""

    def start(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(keys), np.int64), np.zeros((len(keys), 2))

    def remember(self, memory: Any, transition: Transition, earned: np.ndarray) -> Any:
        return memory[0] + 1, memory[1] + earned


def test_what_agents_remember_begins_anew_with_every_episode() -> None:
    mechanism = make_mechanism("constant-share", GAME, share=0.5)
    playing = Simulation(GAME, mechanism, 2, seed=7, minds=Minds.of(Counting()))
    seen, earned = [playing.seen.memory], np.zeros((2, 2))
    for actions in ([[MUCH, LITTLE], [LOSE, MUCH]], [[LITTLE, MUCH], [LEAVE, LEAVE]], [[LOSE, LOSE], [MUCH, MUCH]]):
        step = playing.step(np.array(actions))
        earned = np.where(step.ended[:, None], 0, earned + step.earned)
        seen.append(playing.seen.memory)
        np.testing.assert_allclose(seen[-1][1], earned)
    assert [each[0].tolist() for each in seen] == [[0, 0], [1, 1], [2, 0], [0, 1]]
    playing.begin_anew()
    assert playing.seen.memory[0].tolist() == [0, 0]
    assert loop().seen.memory == ()


def test_a_memory_that_no_episode_could_begin_anew_is_refused() -> None:
    class Listing(Counting):
        def start(self, keys: np.ndarray) -> Any:
            return []

    with pytest.raises(UsageError, match="the memory of the agents holds a list"):
        loop(minds=Minds.of(Listing()))


def test_who_remembers_cannot_be_asked() -> None:
    """What agents expect after a step depends on what they will remember of it, and that on what they are paid."""
    mate = make_mechanism("mate", make("coin_game/ivanov-3x3"))
    with pytest.raises(UsageError, match="Mate asks agents what they expect"):
        Loop(mate.game, mate, 2, seed=0, minds=Minds.of(Counting()))
