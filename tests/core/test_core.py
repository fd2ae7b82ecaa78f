"""What every game stands on: the random numbers, the keys of episodes, the replacing of episodes, configurations."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from pydantic import Field, ValidationError

from paymaster.core.arrays import where
from paymaster.core.config import UsageError, configuration, configure, did_you_mean, to_json
from paymaster.core.random import GOLDEN, Stream, episode_keys, mix, uniform, uniform_array
from paymaster.envs import FAMILIES, family, games, make

WORD = 2**64


@njit
def table(keys: np.ndarray, steps: int, slots: int) -> np.ndarray:
    """(keys, steps, slots) every draw."""
    draws = np.empty((len(keys), steps, slots))
    for k in range(len(keys)):
        for t in range(steps):
            for slot in range(slots):
                draws[k, t, slot] = uniform(keys[k], t, slot)
    return draws


# Random numbers


def test_mix_is_splitmix64() -> None:
    """The first outputs of the published generator from the seeds 0 and 1234567."""
    for seed, outputs in [
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]),
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]),
    ]:
        states = [np.uint64((seed + n * int(GOLDEN)) % WORD) for n in (1, 2, 3)]
        assert [int(mixed(state)) for state in states] == outputs


@njit
def mixed(x: np.uint64) -> np.uint64:
    return mix(x)


@settings(deadline=None)  # the first call compiles
@given(st.integers(0, WORD - 1), st.integers(0, 10_000), st.integers(0, 100))
def test_a_draw_is_the_definition_in_exact_arithmetic(key: int, t: int, slot: int) -> None:
    def finalise(x: int) -> int:
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % WORD
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % WORD
        return x ^ (x >> 31)

    stream = finalise((key + 0xD1342543DE82EF95 * t) % WORD)
    expected = finalise((stream + 0x9E3779B97F4A7C15 * (slot + 1)) % WORD) >> 11
    assert draw(np.uint64(key), t, slot) == expected / 2**53


@njit
def draw(key: np.uint64, t: int, slot: int) -> float:
    return uniform(key, t, slot)


def test_draws_are_uniform_and_do_not_know_each_other() -> None:
    """Along keys, steps and slots alike: the moments, 64 equal bins, and the correlation of neighbours."""
    draws = table(np.arange(200, dtype=np.uint64), 40, 25)
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    assert abs(draws.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / draws.size)
    assert abs(draws.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / draws.size)
    counts = np.bincount((draws.ravel() * 64).astype(int), minlength=64)
    expected = draws.size / 64
    assert ((counts - expected) ** 2 / expected).sum() < 63 + 5 * np.sqrt(2 * 63)
    for axis in range(3):
        pairs = np.moveaxis(draws, axis, 0) - 0.5
        assert abs(12 * (pairs[1:] * pairs[:-1]).mean()) < 4 / np.sqrt(draws.size)
    assert len(np.unique(draws)) == draws.size


# Keys


def test_keys_differ_between_seeds_streams_environments_and_episodes() -> None:
    environments, episodes = (axis.ravel() for axis in np.meshgrid(np.arange(200), np.arange(50)))
    keys = [episode_keys(seed, stream, environments, episodes) for seed in range(4) for stream in range(4)]
    assert all(k.dtype == np.uint64 and k.shape == (10_000,) for k in keys)
    assert len(np.unique(np.concatenate(keys))) == 16 * 10_000


def test_a_key_depends_on_its_own_environment_and_episode_only() -> None:
    many = episode_keys(3, 1, np.arange(64), np.arange(64) % 5)
    one = episode_keys(3, 1, np.array([17]), np.array([17 % 5]))
    assert many[17] == one[0]
    assert (episode_keys(3, 1, np.arange(64), np.arange(64) % 5) == many).all()


# Replacing what ended


class Inner(NamedTuple):
    a: np.ndarray
    b: tuple[np.ndarray, ...]


def test_where_replaces_whole_environments_in_every_array() -> None:
    def state(value: int) -> Inner:
        return Inner(np.full((3, 2, 2), value), (np.full(3, value, np.uint64), np.full((3, 1), value, np.int8)))

    mixed = where(np.array([True, False, True]), state(1), state(0))
    assert isinstance(mixed, Inner)
    assert mixed.a[:, 0, 0].tolist() == [1, 0, 1]
    assert (mixed.a == mixed.a[:, :1, :1]).all()
    assert [array.tolist() for array in mixed.b] == [[1, 0, 1], [[1], [0], [1]]]
    assert [array.dtype for array in mixed.b] == [np.uint64, np.int8]


def test_where_leaves_what_is_no_array() -> None:
    assert where(np.array([True]), (), ()) == ()


# Configurations


@configuration
class Recipe:
    eggs: int = Field(default=2, ge=1, le=12)
    """How many eggs."""
    kind: Literal["omelette", "scrambled"] = "omelette"
    salt: float = 0.5


def test_a_configuration_is_checked_frozen_and_comparable() -> None:
    assert Recipe(eggs=3) == configure(Recipe, {"eggs": 3}, what="recipe")
    assert Recipe(eggs=3) != Recipe()
    assert hash(Recipe(eggs=3)) == hash(Recipe(eggs=3))
    assert to_json(Recipe(eggs=3)) == {"eggs": 3, "kind": "omelette", "salt": 0.5}
    with pytest.raises(ValidationError):
        Recipe(eggs=0)
    with pytest.raises(AttributeError):
        Recipe().eggs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"eggs": 0}, r"recipe: eggs: input should be greater than or equal to 1 \(got 0\)"),
        ({"eggs": 2.5}, r"eggs.*got 2.5"),
        ({"eggs": None}, r"eggs.*got None"),
        ({"kind": "boiled"}, r"'omelette' or 'scrambled' \(got 'boiled'\)"),
        ({"eggs": 13, "salt": "much"}, r"eggs.*got 13.*salt.*got 'much'"),
        ({"egg": 1}, r"unknown parameter of recipe 'egg'\. Did you mean 'eggs'\? Allowed: eggs, kind, salt"),
    ],
)
def test_a_configuration_says_what_was_wrong(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        configure(Recipe, values, what="recipe")


def test_the_nearest_names_are_offered() -> None:
    assert did_you_mean("suite", "coin-3x4", ["coin-3x3", "quick"]) == (
        "unknown suite 'coin-3x4'. Did you mean 'coin-3x3'? Allowed: coin-3x3, quick."
    )
    assert did_you_mean("suite", "x", []) == "unknown suite 'x'. Allowed: none."


# The registry


def test_every_game_can_be_made() -> None:
    assert "coin_game/ivanov-7x7" in games()
    for id in games():
        assert isinstance(make(id), family(id.partition("/")[0]))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_rule_of_every_game_has_its_help(name: str) -> None:
    assert family(name).__doc__
    for rule, field in family(name).__pydantic_fields__.items():
        assert field.description, rule


def test_a_rule_given_goes_over_the_presets() -> None:
    assert make("coin_game/ivanov-3x3", grid_size=4).grid_size == 4  # type: ignore[attr-defined]
    assert make("coin_game/ivanov-3x3", grid_size=4).horizon == 20


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("coin_game/ivanov-9x9", r"unknown game 'coin_game/ivanov-9x9'\. Did you mean 'coin_game/ivanov-"),
        ("coin-game", r"Did you mean 'coin_game/.* Allowed: \d+; paymaster list tells them"),
        ("coin_game", r"Did you mean 'coin_game/.* Allowed: \d+; paymaster list tells them"),
        ("", "unknown game ''"),
    ],
)
def test_an_unknown_game_is_told_with_the_known_ones(id: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(id)


def test_an_unknown_family_is_told() -> None:
    with pytest.raises(UsageError, match=r"unknown game family 'coin'\. Did you mean 'coin_game'"):
        family("coin")


def test_a_stream_gives_the_draws_of_its_key_call_by_call() -> None:
    stream = Stream(seed=3, purpose=4, index=1)
    first, second = stream.uniform(5), stream.uniform(3)
    key = episode_keys(3, 4, np.array([1]), np.array([0]))
    np.testing.assert_array_equal(first, uniform_array(key, 1, np.arange(5)))
    np.testing.assert_array_equal(second, uniform_array(key, 2, np.arange(3)))
    assert not np.array_equal(first, Stream(3, 4, 2).uniform(5))


def test_a_stream_gives_whole_numbers_and_orders() -> None:
    stream = Stream(0, 5)
    drawn = stream.integers(4, 40_000)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 40_000, 0.25, atol=0.01)
    orders = np.array([stream.permutation(4) for _ in range(6000)])
    assert (np.sort(orders, axis=1) == np.arange(4)).all()
    for place in range(4):
        np.testing.assert_allclose(np.bincount(orders[:, place], minlength=4) / 6000, 0.25, atol=0.03)
