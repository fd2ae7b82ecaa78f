"""A slow, plain twin of the games on a map: written from the rules, with numbers, tuples, sets and dicts only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from paymaster.core.config import to_json

WORD = 2**64
Cell = tuple[int, int]

UP, RIGHT, DOWN, LEFT = range(4)
AHEAD = {UP: (-1, 0), RIGHT: (0, 1), DOWN: (1, 0), LEFT: (0, -1)}
HEADINGS = {"up": 0, "right": 1, "down": 2, "left": 3}  # quarter turns clockwise from the facing
CLASSES = {
    "void": 0, "floor": 1, "wall": 2, "apple": 3, "self": 4, "other": 5, "fire": 9, "river": 10, "stream": 11,
    "waste": 12, "clean": 13,
}  # fmt: skip
GROUNDS = {"@": "wall", "H": "river", "R": "river", "S": "stream"}


def mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % WORD
    return x ^ (x >> 31)


def uniform(key: int, t: int, slot: int) -> float:
    stream = mix((key + 0xD1342543DE82EF95 * t) % WORD)
    return float(mix((stream + 0x9E3779B97F4A7C15 * (slot + 1)) % WORD) >> 11) / 2**53


class PlainGrid:
    """One environment. `rules` are the fields of the game, `classes` the number of its classes."""

    def __init__(self, rules: dict[str, Any], key: int, classes: int) -> None:
        self.rules, self.key, self.t, self.classes = rules, key, 0, classes
        self.players = rules["players"]
        self.map = {(r, c): ch for r, row in enumerate(rules["map"]) for c, ch in enumerate(row)}
        self.waste: set[Cell] = set()
        self.apples: set[Cell] = set()
        self.beams: dict[Cell, str] = {}
        self.agents: list[Cell] = []
        self.facing: list[int] = []
        self.events: dict[str, list[Any]] = {}

    def uniform(self, slot: int) -> float:
        return uniform(self.key, self.t, slot)

    def cells(self, characters: str) -> list[Cell]:
        return [cell for cell, ch in self.map.items() if ch in characters]

    def reset(self) -> None:
        for i in range(self.players):
            free = [cell for cell in self.cells("P") if cell not in self.agents]
            drawn = self.rules.get("start_cells", "drawn") == "drawn"
            self.agents.append(free[int(self.uniform(i) * len(free))] if drawn else free[-1])
            self.facing.append(int(self.uniform(self.players + i) * 4) if self.rules["turning"] else UP)

    def open(self, cell: Cell) -> bool:
        return self.map.get(cell, "@") != "@"

    def beside(self, i: int, direction: int) -> Cell:
        return self.agents[i][0] + AHEAD[direction][0], self.agents[i][1] + AHEAD[direction][1]

    def target(self, i: int, action: str) -> Cell | None:
        """The open cell that the action would lead to."""
        if action not in HEADINGS:
            return None
        cell = self.beside(i, (self.facing[i] + HEADINGS[action]) % 4)
        return cell if self.open(cell) else None

    def begin_step(self, *names: str) -> None:
        self.t += 1
        self.events = {name: [0] * self.players for name in names}
        self.beams = {}

    def go(self, actions: list[str]) -> None:
        wishes: dict[Cell, list[int]] = {}
        for i, action in enumerate(actions):
            target = self.target(i, action)
            if target is not None:
                wishes.setdefault(target, []).append(i)
            self.facing[i] += {"turn_clockwise": 1, "turn_counterclockwise": -1}.get(action, 0)
            self.facing[i] %= 4
        target_of: dict[int, Cell] = {}
        for target, rivals in wishes.items():
            winner = int(self.uniform(min(rivals)) * len(rivals)) if len(rivals) > 1 else 0
            target_of[rivals[winner]] = target
        before = list(self.agents)
        for i, target in target_of.items():
            if self.enters(i, before, target_of):
                self.agents[i] = target

    @staticmethod
    def enters(i: int, places: list[Cell], target_of: dict[int, Cell]) -> bool:
        """Follow who stands in whose way: to an empty cell, to one who stays, or around to agent i itself."""
        ahead, length = i, 0
        while True:
            if ahead not in target_of:
                return False
            if target_of[ahead] not in places:
                return True
            ahead, length = places.index(target_of[ahead]), length + 1
            if ahead == i:
                return length >= 3

    def eat(self) -> None:
        for i, cell in enumerate(self.agents):
            if cell in self.apples:
                self.apples.remove(cell)
                self.events["ate"][i] = 1

    def rays(self, i: int) -> Iterator[list[Cell]]:
        """The cells of each ray of agent i, as far as walls let it."""
        (row, column), (dy, dx) = self.agents[i], AHEAD[self.facing[i]]
        length, half = self.rules["beam_length"], self.rules["beam_width"] // 2
        side_y, side_x = AHEAD[(self.facing[i] + 1) % 4]
        for aside in range(-half, half + 1):
            ray = []
            for ahead in range(1, length + 1) if aside == 0 else range(length):
                cell = row + ahead * dy + aside * side_y, column + ahead * dx + aside * side_x
                if not self.open(cell):
                    break
                ray.append(cell)
            yield ray

    def fire(self, i: int) -> None:
        self.events["fired"][i] = 1
        hit = set()
        for ray in self.rays(i):
            for cell in ray:
                self.beams[cell] = "fire"
                if cell in self.agents:
                    hit.add(self.agents.index(cell))
                    break
        for j in hit:
            self.events["hit"][j] += 1

    def rewards(self) -> list[float]:
        apple, fire, hit = (self.rules[name] for name in ("apple_reward", "fire_cost", "hit_cost"))
        told = zip(self.events["ate"], self.events["fired"], self.events["hit"], strict=True)
        return [apple * ate - fire * fired - hit * times for ate, fired, times in told]

    def shows(self, cell: Cell) -> int:
        """The class of a cell, but for agents."""
        if cell not in self.map:
            return CLASSES["void"]
        if cell in self.apples or cell in self.waste:
            return CLASSES["apple" if cell in self.apples else "waste"]
        if cell in self.beams:
            return CLASSES[self.beams[cell]]
        return CLASSES[GROUNDS.get(self.map[cell], "floor")]

    def see(self, i: int) -> list[list[int]]:
        """The window of agent i: look at every cell of it in the agent's own directions."""
        half = self.rules["view"] // 2
        (row, column), (dy, dx) = self.agents[i], AHEAD[self.facing[i]]
        side_y, side_x = AHEAD[(self.facing[i] + 1) % 4]
        window: list[list[int]] = []
        for ahead in range(half, -half - 1, -1):
            window.append([])
            for aside in range(-half, half + 1):
                cell = row + ahead * dy + aside * side_y, column + ahead * dx + aside * side_x
                seen = self.shows(cell)
                if cell in self.agents:
                    seen = CLASSES["other"] + (self.facing[self.agents.index(cell)] - self.facing[i]) % 4
                window[-1].append(CLASSES["self"] if cell == self.agents[i] else seen)
        return window

    def world(self) -> list[list[int]]:
        rows = [[self.shows((r, c)) for c in range(len(row))] for r, row in enumerate(self.rules["map"])]
        for i, (r, c) in enumerate(self.agents):
            rows[r][c] = self.classes + 4 * i + self.facing[i]
        return rows


def assert_same_state(state: Any, twins: list[Any]) -> None:
    assert state.key.tolist() == [twin.key for twin in twins]
    assert state.t.tolist() == [twin.t for twin in twins]
    assert state.agents.tolist() == [[list(cell) for cell in twin.agents] for twin in twins]
    assert state.facing.tolist() == [twin.facing for twin in twins]
    for b, twin in enumerate(twins):
        assert _cells(state.board[b], "waste") == twin.waste
        assert _cells(state.board[b], "apple") == twin.apples
        for kind in ("fire", "clean"):
            assert _cells(state.beams[b], kind) == {cell for cell, k in twin.beams.items() if k == kind}


def _cells(grid: np.ndarray, name: str) -> set[Cell]:
    return {(row, column) for row, column in np.argwhere(grid == CLASSES[name]).tolist()}


def assert_same_view(game: Any, state: Any, twins: list[Any]) -> None:
    seen, world = game.observe(state), game.world(state)
    assert seen.dtype == world.dtype == np.uint8
    assert seen.shape == (len(twins), game.players, *game.observation_space.shape)
    for b, twin in enumerate(twins):
        assert world[b].tolist() == twin.world()
        for i in range(game.players):
            assert seen[b, i].tolist() == twin.see(i)


def assert_same_step(game: Any, state: Any, twins: list[Any], rng: np.random.Generator) -> Any:
    actions = rng.integers(len(game.action_names), size=(len(twins), game.players))
    state, events = game.step(state, actions)
    rewards, facts = game.rewards(events), game.facts(events)
    for b, twin in enumerate(twins):
        twin.step([game.action_names[a] for a in actions[b]])
        assert {name: values[b].tolist() for name, values in events._asdict().items()} == twin.events
        assert facts[b].T.tolist() == [twin.events[name] for name in game.verifiable]
        np.testing.assert_allclose(rewards[b], twin.rewards(), rtol=1e-6)
    assert_same_state(state, twins)
    return state


def assert_same_episodes(game: Any, kind: Any, *, B: int = 5, T: int = 32) -> None:
    """Random play from the start, seen every few steps; `kind` makes a twin of rules and a key."""
    rng = np.random.default_rng(1)
    keys = rng.integers(WORD, size=B, dtype=np.uint64)
    state, twins = game.reset(keys), [kind(to_json(game), key) for key in keys.tolist()]
    for twin in twins:
        twin.reset()
    assert_same_state(state, twins)
    for t in range(T):
        if t % 8 == 0:
            assert_same_view(game, state, twins)
        state = assert_same_step(game, state, twins, rng)


def assert_any_state_is_the_same(game: Any, kind: Any) -> None:
    """States that play may never reach, too: agents on apples, little waste, beams where nobody fired."""
    rng = np.random.default_rng(2)
    twins = [_anywhere(game, kind, rng) for _ in range(60 if len(game.map) > 7 else 200)]
    state = _state_of(game, twins)
    assert_same_view(game, state, twins)
    assert_same_step(game, state, twins, rng)


def _anywhere(game: Any, kind: Any, rng: np.random.Generator) -> Any:
    twin = kind(to_json(game), int(rng.integers(WORD, dtype=np.uint64)))
    twin.t = int(rng.integers(game.horizon))
    free = [cell for cell in twin.map if twin.open(cell)]
    twin.agents = [free[k] for k in rng.permutation(len(free))[: game.players]]
    twin.facing = rng.integers(4 if game.turning else 1, size=game.players).tolist()
    dirt, fruit = rng.random(2)
    twin.waste = {cell for cell in twin.cells("HR") if rng.random() < dirt}
    twin.apples = {cell for cell in twin.cells("AB") if rng.random() < fruit}
    twin.beams = {cell: "fire" for cell in free if rng.random() < 0.2}
    return twin


def _state_of(game: Any, twins: list[Any]) -> Any:
    state = game.reset(np.array([twin.key for twin in twins], np.uint64))
    for b, twin in enumerate(twins):
        state.t[b], state.agents[b], state.facing[b] = twin.t, twin.agents, twin.facing
        for cell, ch in twin.map.items():
            lying = "waste" if cell in twin.waste else "apple" if cell in twin.apples else GROUNDS.get(ch, "floor")
            state.board[(b, *cell)] = CLASSES[lying]
            state.beams[(b, *cell)] = CLASSES[twin.beams[cell]] if cell in twin.beams else 0
    return state
