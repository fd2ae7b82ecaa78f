"""What holds in every game of the registry, and the published numbers of each preset on a map or of choices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paymaster.core.random import episode_keys
from paymaster.envs import games, make

STEPS, B = 25, 6


@pytest.mark.parametrize("id", games())
def test_an_episode_depends_on_its_key_and_actions_alone(id: str) -> None:
    """Not on how many run beside it, nor on where it stands among them; and no step changes what it was given."""
    game, dice = make(id), np.random.default_rng(0)
    N, alone = len(game.agents), [4, 1]
    keys = episode_keys(7, 0, np.arange(B), np.zeros(B, np.int64))
    together, apart = game.reset(keys), game.reset(keys[alone])
    for _ in range(min(STEPS, game.horizon)):
        before, actions = [array.copy() for array in together], dice.integers(len(game.action_names), size=(B, N))
        following, events = game.step(together, actions)
        np.testing.assert_equal(before, list(together))
        apart, events_apart = game.step(apart, actions[alone])
        for one, all_ in (
            (apart, following), (events_apart, events),
            (game.observe(apart), game.observe(following)), (game.world(apart), game.world(following)),
            (game.rewards(events_apart), game.rewards(events)), (game.facts(events_apart), game.facts(events)),
            (game.principal_reward(events_apart), game.principal_reward(events)),
            (game.terminated(apart), game.terminated(following)),
        ):  # fmt: skip
            for few, many in zip(parts(one), parts(all_), strict=True):
                np.testing.assert_array_equal(few, many[alone])
        together = following


def parts(value: Any) -> list[np.ndarray]:
    return [value] if isinstance(value, np.ndarray) else list(value)


@pytest.mark.parametrize("id", games())
def test_arrays_have_the_shapes_and_types_that_a_game_says(id: str) -> None:
    game, dice = make(id), np.random.default_rng(1)
    N, K = len(game.agents), len(game.verifiable)
    state = game.reset(np.arange(B, dtype=np.uint64))
    for _ in range(min(STEPS, game.horizon)):
        state, events = game.step(state, dice.integers(len(game.action_names), size=(B, N)))
        seen = game.observe(state)
        assert (seen.shape, seen.dtype) == ((B, N, *game.observation_space.shape), game.observation_space.dtype)
        assert all(game.observation_space.contains(each) for row in seen for each in row)
        for array, shape in ((game.rewards(events), (B, N)), (game.principal_reward(events), (B,))):
            assert (array.shape, array.dtype) == (shape, np.float32)
        assert (game.facts(events).shape, game.facts(events).dtype) == ((B, N, K), np.float32)
        assert (game.terminated(state).shape, game.terminated(state).dtype) == ((B,), np.bool_)
        assert len(game.world(state)) == B


PUBLISHED: dict[str, dict[str, Any]] = {
    "cleanup/ssd": {
        "players": 5, "horizon": 1000, "truncates": True, "view": 15, "beam_length": 5, "beam_width": 3,
        "apple_reward": 1, "fire_cost": 1, "hit_cost": 50, "depletion": 0.4, "restoration": 0,
        "apple_probability": 0.05, "waste_probability": 0.5,
    },
    "cleanup/lio-7x7": {
        "players": 2, "horizon": 50, "truncates": True, "view": 9, "beam_length": 5, "beam_width": 3,
        "apple_reward": 1, "depletion": 0.6, "restoration": 0, "apple_probability": 0.5, "waste_probability": 0.5,
    },
    "cleanup/lio-10x10": {
        "players": 2, "horizon": 50, "truncates": True, "view": 15, "beam_length": 5, "beam_width": 3,
        "apple_reward": 1, "depletion": 0.4, "restoration": 0, "apple_probability": 0.3, "waste_probability": 0.5,
    },
    "cleanup_features/ssd": {
        "players": 2, "horizon": 1000, "truncates": True, "beam_length": 5, "beam_width": 3, "apple_reward": 1,
        "depletion": 0.4, "restoration": 0, "apple_probability": 0.05, "waste_probability": 0.5,
    },
    "harvest/ssd": {
        "players": 5, "horizon": 1000, "truncates": True, "view": 15, "beam_length": 5, "beam_width": 3,
        "apple_reward": 1, "fire_cost": 1, "hit_cost": 50, "regrowth": (0, 0.005, 0.02, 0.05), "regrowth_distance": 2,
        "dense": 4, "dense_distance": 5,
    },
    "harvest/commons": {"horizon": 1000, "regrowth": (0, 0.0025, 0.005, 0.025), "regrowth_distance": 4},
    "escape_room/2-1": {"players": 2, "min_at_lever": 1, "horizon": 5, "truncates": False, "escape_reward": 10},
    "escape_room/3-2": {"players": 3, "min_at_lever": 2, "horizon": 5, "truncates": False, "move_cost": 1},
    "matrix/prisoners-dilemma": {"players": 2, "horizon": 1, "truncates": False, "pairwise": (3, 0, 4, 1)},
    "matrix/iterated-prisoners-dilemma": {"horizon": 150, "truncates": False, "pairwise": (-1, -3, 0, -2)},
    "matrix/chicken": {"pairwise": (3, 1, 4, 0)},
    "matrix/stag-hunt": {"pairwise": (4, 0, 3, 1)},
    "persuasion/recommendation-letter": {"horizon": 1, "good": 1 / 3, "value_of_good": 1, "cost_of_bad": 1},
    "principal_agent_bandit/scheid-5": {
        "horizon": 1, "truncates": False, "rewards_of": (0.64, 0.99, 0.73, 0.61, 0.59),
        "gains_of": (0.30, 0.24, 0.88, 0.07, 0.65), "noise": 1,
    },
    "tree/ivanov-d10": {"horizon": 10, "truncates": False, "accuracy": 0.9, "max_cost": 1, "max_value": 2},
}  # fmt: skip


@pytest.mark.parametrize("id", PUBLISHED)
def test_a_preset_has_the_numbers_of_its_source(id: str) -> None:
    game = make(id)
    assert {rule: getattr(game, rule) for rule in PUBLISHED[id]} == PUBLISHED[id]


@pytest.mark.parametrize("id", ["cleanup/ssd", "cleanup_features/ssd", "harvest/ssd", "harvest/commons"])
def test_two_to_ten_agents_play_on_the_large_maps(id: str) -> None:
    for players in range(2, 11):
        game: Any = make(id, players=players)
        state = game.reset(np.arange(3, dtype=np.uint64))
        state, _ = game.step(state, np.full((3, players), game.action_names.index("stay")))
        assert all(len({*map(tuple, row)}) == players for row in state.agents.tolist())


def test_the_small_maps_start_with_the_waste_of_their_source() -> None:
    """Shares of waste of 1 and of a half: in the 10x10 map nothing grows before two more are cleaned."""
    for preset, waste, river in (("lio-7x7", 2, 2), ("lio-10x10", 8, 16)):
        game: Any = make(f"cleanup/{preset}")
        assert (game.reset(np.zeros(1, np.uint64)).board == 12).sum() == waste
        assert sum(row.count("H") + row.count("R") for row in game.map) == river
