"""What the games on a map share: `GridGame`, and `EgocentricGame` for those whose agents see the cells around them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Generic, Protocol, TypeVar

import gymnasium as gym
import numpy as np

from ...core.random import FROM_KEYS, draws_of
from ..game import Scene, Sprite, legal
from .beams import earned
from .maps import APPLE, CLEAN_BEAM, FIRE_BEAM, WASTE, cells_of, check_map, check_odd, read_map
from .moves import ACTIONS, CLOCKWISE, COUNTERCLOCKWISE, FIRE, place
from .state import State
from .windows import coloured, overview, windows

SPRITES = {APPLE: "apple", WASTE: "waste", FIRE_BEAM: "beam-fire", CLEAN_BEAM: "beam-clean"}


class MapState(Protocol):
    """What the states of all games on a map have; see `grid.state.State`."""

    @property
    def t(self) -> np.ndarray: ...
    @property
    def agents(self) -> np.ndarray: ...
    @property
    def facing(self) -> np.ndarray: ...
    @property
    def board(self) -> np.ndarray: ...
    @property
    def beams(self) -> np.ndarray: ...


class MapRules(Protocol):
    """What the compiled rules of all games on a map have."""

    @property
    def codes(self) -> np.ndarray:
        """(actions,) of the ACTIONS."""


S = TypeVar("S", bound=MapState)
E = TypeVar("E")
MapEvents = TypeVar("MapEvents", bound="Fired")


class GridGame(Generic[S, E]):
    """`players` agents that walk on a `map`. A game adds its fields, `_rules`, `begin`, `play`, events and rewards."""

    legend: ClassVar[Mapping[str, int]]  # the class that each character of a map stands for at the start
    map_classes: ClassVar[int]  # how many classes a cell of the map may show

    map: tuple[str, ...]
    players: int

    # What a game says for itself

    @property
    def _rules(self) -> MapRules:
        raise NotImplementedError

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> S:
        """New episodes for `keys` (B,), their chance given: `draws` (B, 2 N) in [0, 1).

        Slots: the spawn point of each agent, among those that are free, then the facing of each.
        """
        raise NotImplementedError

    def play(self, state: S, actions: np.ndarray, draws: np.ndarray) -> tuple[S, E]:
        """`step` with its chance given: `draws` (B, S) in [0, 1), slots as the game's `Rules` say."""
        raise NotImplementedError

    def rewards(self, events: E) -> np.ndarray:
        raise NotImplementedError

    def _happened(self, events: E, index: int, i: int) -> list[str]:
        """What agent i did in environment `index`, in words: "eats"."""
        raise NotImplementedError

    # Agents, actions and spaces

    @cached_property
    def agents(self) -> tuple[str, ...]:
        return tuple(f"agent_{i}" for i in range(self.players))

    @cached_property
    def action_names(self) -> tuple[str, ...]:
        return tuple(ACTIONS[code] for code in self._rules.codes)

    # The rules

    def reset(self, keys: np.ndarray) -> S:
        """New episodes: see `begin`."""
        keys = np.ascontiguousarray(keys, np.uint64)
        return self.begin(keys, draws_of(keys, np.zeros(keys.shape, np.int32), 2 * self.players))

    def step(self, state: S, actions: np.ndarray) -> tuple[S, E]:
        """One step of every environment; `actions` (B, N).

        Raises UsageError where an action is none of `action_names`.
        """
        return self.play(state, actions, FROM_KEYS)

    def principal_reward(self, events: E) -> np.ndarray:
        """(B,) float32: welfare, the sum of the agents' rewards."""
        return self.rewards(events).sum(axis=1)

    def terminated(self, state: S) -> np.ndarray:
        return np.zeros(state.t.shape, np.bool_)

    def _placed(self, keys: np.ndarray, draws: np.ndarray, *, fixed: bool = False, turning: bool = True) -> State:
        """All agents on their spawn points, drawn or `fixed`, on the map as it is at the start."""
        keys = np.ascontiguousarray(keys, np.uint64)
        agents, facing = place(self._spawns, self.players, draws, fixed=fixed, turning=turning)
        board = np.repeat(self._board[None], len(keys), axis=0)
        return State(keys, np.zeros(keys.shape, np.int32), agents, facing, board, np.zeros_like(board))

    def _legal(self, state: S, actions: np.ndarray) -> np.ndarray:
        return legal(actions, state.facing.shape, self.action_names)

    # Observations

    def world(self, state: S) -> np.ndarray:
        """(B, H, W) uint8: the whole map in the classes of its cells; agent i facing f is `map_classes + 4 i + f`."""
        return overview(state.board, state.beams, state.agents, state.facing, self.map_classes)

    def scene(self, state: S, events: E | None, index: int) -> Scene:
        """The map, what lies on it, the beams of the last step, the agents, and a caption that says who did what."""
        sprites = [
            Sprite(SPRITES[layer[r, c]], r, c, -1)
            for layer in (state.board[index], state.beams[index])
            for r, c in np.argwhere(np.isin(layer, list(SPRITES))).tolist()
        ]
        places = zip(state.agents[index].tolist(), state.facing[index].tolist(), strict=True)
        sprites += [Sprite("agent", r, c, i, facing=facing) for i, ((r, c), facing) in enumerate(places)]
        words = [f"step {state.t[index]}"]
        if events is not None:
            for i, name in enumerate(self.agents):
                words += [f"{name} {what}" for what in self._happened(events, index, i)]
        return Scene(len(self.map), len(self.map[0]), self.map, tuple(sprites), "; ".join(words))

    # What follows from the map

    @cached_property
    def _board(self) -> np.ndarray:
        """(H, W) uint8: the board at the start."""
        return read_map(self.map, self.legend)

    @cached_property
    def _spawns(self) -> np.ndarray:
        """(P, 2) row, column of every spawn point."""
        return cells_of(self.map, "P")

    def _check_map(self) -> None:
        """Raise ValueError unless the map is one of this game's on which all players can start."""
        check_map(self.map, self.legend, self.players)


class Fired(Protocol):
    """What the events of all games have in which agents eat apples and may fire."""

    @property
    def ate(self) -> np.ndarray: ...
    @property
    def fired(self) -> np.ndarray: ...
    @property
    def hit(self) -> np.ndarray: ...


class EgocentricGame(GridGame[State, MapEvents]):
    """A game on a map whose agents see the cells around them, eat apples, may turn, and may fire at each other."""

    turning: bool
    fire: bool
    view: int
    observation: str
    beam_width: int
    apple_reward: float
    fire_cost: float
    hit_cost: float

    @cached_property
    def observation_space(self) -> gym.spaces.Box:
        if self.observation == "rgb":
            return gym.spaces.Box(0, 255, (self.view, self.view, 3), np.uint8)
        return gym.spaces.Box(0, self.map_classes - 1, (self.view, self.view), np.uint8)

    @property
    def classes(self) -> int:
        """How many values an observation can have; 0 where it is colours."""
        return self.map_classes if self.observation == "classes" else 0

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        return self._placed(keys, draws, turning=self.turning)

    def rewards(self, events: MapEvents) -> np.ndarray:
        return earned(self.apple_reward, self.fire_cost, self.hit_cost, events.ate, events.fired, events.hit)

    def observe(self, state: State) -> np.ndarray:
        seen = windows(state.board, state.beams, state.agents, state.facing, self.view)
        return coloured(seen) if self.observation == "rgb" else seen

    def _codes(self, *absent: int) -> np.ndarray:
        """(actions,) the ACTIONS that agents have: all but those `absent` from the game and those its rules forbid."""
        turns = () if self.turning else (CLOCKWISE, COUNTERCLOCKWISE)
        barred = {*absent, *turns, *(() if self.fire else (FIRE,))}
        return np.array([code for code in range(len(ACTIONS)) if code not in barred])

    def _check_map(self) -> None:
        super()._check_map()
        check_odd(view=self.view, beam_width=self.beam_width)
