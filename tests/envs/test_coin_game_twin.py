"""The Coin Game against a slow, plain twin: written from the rules, with numbers, tuples and dicts only."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from paymaster.core.config import to_json
from paymaster.envs import make
from paymaster.envs.coin_game.game import CoinGame, State

ARROWS = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0), "stay": (0, 0)}
WORD = 2**64

VARIANTS: dict[str, dict[str, Any]] = {
    **{preset: {} for preset in CoinGame.presets},
    "ivanov-7x7 egocentric": {"observation": "egocentric"},
    "ivanov-3x3 of three, colours drawn": {"players": 3, "next_colour": "uniform"},
    "ivanov-7x7 of three on 5x5, egocentric": {"players": 3, "grid_size": 5, "observation": "egocentric"},
    "ivanov-3x3 on 5x5, own coins worth 0.5": {"grid_size": 5, "own_coin": 0.5},
    "ivanov-7x7 of three on 5x5, mutual": {"players": 3, "grid_size": 5, "observation": "mutual"},
    "ivanov-3x3 on 2x2": {"grid_size": 2, "observation": "egocentric"},
    "mfos-3x3 of three, egocentric": {
        "players": 3,
        "observation": "egocentric",
        "new_coin": "elsewhere",
        "tie": "first",
    },
    "mate-2 of four": {"players": 4, "grid_size": 5, "stay": True, "observation": "absolute", "tie": "uniform"},
}


def mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % WORD
    return x ^ (x >> 31)


def uniform(key: int, t: int, slot: int) -> float:
    stream = mix((key + 0xD1342543DE82EF95 * t) % WORD)
    return float(mix((stream + 0x9E3779B97F4A7C15 * (slot + 1)) % WORD) >> 11) / 2**53


class Twin:
    """One environment. `rules` are the fields of the game."""

    def __init__(self, rules: dict[str, Any], key: int) -> None:
        self.rules, self.key, self.t = rules, key, 0
        self.size, self.players = rules["grid_size"], rules["players"]
        self.cells = list(product(range(self.size), repeat=2))
        self.agents: list[tuple[int, int]] = []
        self.coins: list[dict[str, Any]] = []

    def reset(self) -> None:
        for i in range(self.players):
            taken = self.agents if self.rules["start_apart"] else []
            self.agents.append(self.draw_cell(taken, slot=i))
        count = 1 if self.rules["coins"] == "one" else self.players
        for c in range(count):
            taken = [] if self.rules["new_coin"] == "any" else self.agents
            owner = c if count > 1 else int(uniform(self.key, 0, self.players + 1) * self.players)
            self.coins.append({"cell": self.draw_cell(taken, slot=self.players + c), "owner": owner})

    def draw_cell(self, taken: list[tuple[int, int]], slot: int) -> tuple[int, int]:
        allowed = [cell for cell in self.cells if cell not in taken]
        return allowed[int(uniform(self.key, self.t, slot) * len(allowed))]

    def target(self, cell: tuple[int, int], action: str) -> tuple[int, int]:
        row, column = cell[0] + ARROWS[action][0], cell[1] + ARROWS[action][1]
        if self.rules["edges"] == "torus":
            return row % self.size, column % self.size
        return (row, column) if (row, column) in self.cells else cell

    def step(self, actions: list[str]) -> tuple[set[tuple[int, int]], set[tuple[int, int]], list[float]]:
        """Who picked whose coin, who left whose coin, and the rewards."""
        names = [name for name in ARROWS if name != "stay" or self.rules["stay"]]
        before, self.t = self.agents, self.t + 1
        self.agents = [self.target(cell, action) for cell, action in zip(before, actions, strict=True)]
        picked, left = set(), set()
        for c, coin in enumerate(self.coins):
            here = [i for i in range(self.players) if self.agents[i] == coin["cell"]]
            near = [i for i in range(self.players) if coin["cell"] in [self.target(before[i], a) for a in names]]
            left |= {(i, coin["owner"]) for i in near if i not in here}
            picked |= {(i, coin["owner"]) for i in self.winners(here, slot=3 * c)}
            if here:
                self.renew(coin, slot=3 * c)
        return picked, left, self.rewards(picked)

    def winners(self, here: list[int], slot: int) -> list[int]:
        if self.rules["tie"] == "uniform" and here:
            return [here[int(uniform(self.key, self.t, slot) * len(here))]]
        return here[:1] if self.rules["tie"] == "first" else here

    def renew(self, coin: dict[str, Any], slot: int) -> None:
        taken = {"free": self.agents, "any": [], "elsewhere": [coin["cell"]]}[self.rules["new_coin"]]
        coin["cell"] = self.draw_cell(taken, slot + 1)
        if len(self.coins) == 1:
            drawn = int(uniform(self.key, self.t, slot + 2) * self.players)
            turn = (coin["owner"] + 1) % self.players
            coin["owner"] = drawn if self.rules["next_colour"] == "uniform" else turn

    def rewards(self, picked: set[tuple[int, int]]) -> list[float]:
        rewards = [0.0] * self.players
        if self.t == self.rules["horizon"] and not self.rules["last_step_pays"]:
            return rewards
        for picker, owner in picked:
            rewards[picker] += self.rules["own_coin"] if picker == owner else self.rules["others_coin"]
            rewards[owner] += self.rules["owner_payoff"] if picker != owner else 0.0
        return rewards

    def see(self, i: int) -> list[tuple[int, int, int]]:
        """The (plane, row, column) that agent i sees marked."""
        things = self.things()
        if self.rules["observation"] == "absolute":
            return sorted({(plane, *cell) for plane, cell in things})
        if self.rules["observation"] == "mutual":
            nexts = [(2 + 2 * k, (i + k) % self.players) for k in range(1, self.players)]
            coins = [(at - 2 + plane, *cell) for at, j in nexts for plane, *cell in self.see_planes(j) if plane >= 2]
            return self.see_planes(i) + coins
        return self.see_planes(i)

    def see_planes(self, i: int) -> list[tuple[int, int, int]]:
        """The same in agent i's own four planes."""
        middle = self.size // 2
        row, column = self.agents[i]
        dy, dx = (0, 0) if self.rules["observation"] == "planes" else (middle - row, middle - column)
        planes = [*(int(j != i) for j in range(self.players)), *(2 + int(j != i) for j in range(self.players))]
        return sorted({(planes[thing], (y + dy) % self.size, (x + dx) % self.size) for thing, (y, x) in self.things()})

    def things(self) -> list[tuple[int, tuple[int, int]]]:
        """Every agent, then a coin of every agent's colour, numbered, and where it is."""
        agents = [(j, cell) for j, cell in enumerate(self.agents)]
        return agents + [(self.players + coin["owner"], coin["cell"]) for coin in self.coins]


def game_of(variant: str, **rules: Any) -> Any:
    return make(f"coin_game/{variant.split()[0]}", **{**VARIANTS[variant], **rules})


def assert_same_state(state: State, twins: list[Twin]) -> None:
    assert state.key.tolist() == [twin.key for twin in twins]
    assert state.t.tolist() == [twin.t for twin in twins]
    assert state.agents.tolist() == [[list(cell) for cell in twin.agents] for twin in twins]
    assert state.coins.tolist() == [[list(coin["cell"]) for coin in twin.coins] for twin in twins]
    assert state.owners.tolist() == [[coin["owner"] for coin in twin.coins] for twin in twins]


def assert_same_view(game: CoinGame, state: State, twins: list[Twin]) -> None:
    seen = game.observe(state)
    assert seen.dtype == np.uint8
    assert seen.shape == (len(twins), game.players, *game.observation_space.shape)
    for b, twin in enumerate(twins):
        for i in range(game.players):
            assert sorted(map(tuple, np.argwhere(seen[b, i]).tolist())) == twin.see(i)


def assert_same_step(game: CoinGame, state: State, twins: list[Twin], rng: np.random.Generator) -> State:
    actions = rng.integers(len(game.action_names), size=(len(twins), game.players))
    state, events = game.step(state, actions)
    rewards = game.rewards(events)
    for b, twin in enumerate(twins):
        picked, left, earned = twin.step([game.action_names[a] for a in actions[b]])
        assert {*map(tuple, np.argwhere(events.picked[b]).tolist())} == picked
        assert {*map(tuple, np.argwhere(events.left[b]).tolist())} == left
        np.testing.assert_allclose(rewards[b], earned, rtol=1e-6)
    assert_same_state(state, twins)
    return state


@pytest.mark.parametrize("variant", VARIANTS)
def test_episodes_are_the_twins(variant: str) -> None:
    game, rng = game_of(variant, horizon=30), np.random.default_rng(1)
    keys = rng.integers(WORD, size=40, dtype=np.uint64)
    state, twins = game.reset(keys), [Twin(to_json(game), key) for key in keys.tolist()]
    for twin in twins:
        twin.reset()
    assert_same_state(state, twins)
    for _ in range(30):
        assert_same_view(game, state, twins)
        state = assert_same_step(game, state, twins, rng)


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_state_steps_like_the_twins(variant: str) -> None:
    """States that play may never reach, too: coins under agents, crowds on a cell, the last step."""
    game, rng, B = game_of(variant), np.random.default_rng(2), 400
    count = 1 if game.coins == "one" else game.players
    state = State(
        key=rng.integers(WORD, size=B, dtype=np.uint64),
        t=rng.integers(game.horizon, size=B, dtype=np.int32),
        agents=rng.integers(game.grid_size, size=(B, game.players, 2), dtype=np.int8),
        coins=rng.integers(game.grid_size, size=(B, count, 2), dtype=np.int8),
        owners=np.tile(np.arange(count), (B, 1)) if count > 1 else rng.integers(game.players, size=(B, 1)),
    )
    state = state._replace(owners=state.owners.astype(np.int8))
    twins = [twin_of(game, state, b) for b in range(B)]
    assert_same_view(game, state, twins)
    assert_same_step(game, state, twins, rng)


def twin_of(game: CoinGame, state: State, b: int) -> Twin:
    twin = Twin(to_json(game), int(state.key[b]))
    twin.t, twin.agents = int(state.t[b]), [(row, column) for row, column in state.agents[b].tolist()]
    coins = zip(state.coins[b].tolist(), state.owners[b].tolist(), strict=True)
    twin.coins = [{"cell": (row, column), "owner": owner} for (row, column), owner in coins]
    return twin


def test_the_variants_meet_every_value_of_every_rule() -> None:
    """A rule that no variant changes would be compared in one value only."""
    met = [to_json(game_of(variant)) for variant in VARIANTS]
    choices = {"tie": 3, "new_coin": 3, "observation": 3}
    for rule in set(met[0]) - {"truncates"}:
        assert len({game[rule] for game in met}) >= choices.get(rule, 2), rule
