"""The loop: episodes that end and begin anew, their tallies, their keys, and the principal's money."""

from __future__ import annotations

from typing import Any

import numpy as np

from paymaster import make_mechanism
from paymaster.contracts.loop import Episodes, Loop
from paymaster.contracts.mechanism import Decisions, Mechanism
from paymaster.core.random import episode_keys
from paymaster.envs.game import Game

from ..envs.plain_game import PlainGame

MUCH, LITTLE, LOSE, LEAVE = range(4)
GAME = PlainGame(horizon=3)


def loop(game: Game = GAME, B: int = 1, **more: Any) -> Loop:
    return Loop(game, Mechanism(game=game), B, seed=7, **more)


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
    np.testing.assert_array_equal(step.seen.observations, GAME.observe(step.transition.next_state))
    new = GAME.reset(episode_keys(7, 0, np.array([0]), np.array([1])))
    np.testing.assert_array_equal(playing.seen.observations, GAME.observe(new))
    assert not np.array_equal(step.seen.observations, playing.seen.observations)


# Tallies


def test_tallies_are_the_sums() -> None:
    mechanism = make_mechanism("constant-share", GAME, share=0.5)
    playing = Loop(GAME, mechanism, 2, seed=7)
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
    playing = Loop(GAME, mechanism, 1, seed=7, principal=always([LITTLE, LOSE], [0.5, 2.0]))
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
    playing = Loop(GAME, make_mechanism("advice", GAME), 1, seed=7, principal=always([LITTLE, LOSE], [0.5, 2.0]))
    np.testing.assert_array_equal(playing.seen.terms, [[[0, 1, 0, 0], [0, 0, 1, 0]]])
    np.testing.assert_allclose(playing.step(np.array([[LITTLE, LOSE]])).earned, [[0.25, -2.0]])


def test_memory_starts_anew_with_each_episode() -> None:
    """The second environment ends after its first step, while the first goes on and remembers."""
    mechanism = make_mechanism("inequity-aversion", GAME, envy=1.0, guilt=0.0, discount=1.0, smoothing=0.5)
    playing = Loop(GAME, mechanism, 2, seed=7)
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
            np.testing.assert_array_equal(step.seen.observations[b], other.seen.observations[0])
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
    playing.restart()
    for before, chosen in zip(first, actions, strict=True):
        again = playing.step(chosen)
        np.testing.assert_array_equal(before.seen.observations, again.seen.observations)
        np.testing.assert_array_equal(before.earned, again.earned)
