"""Escape Room: the door opens only while others hold the lever, and whoever holds it stays behind.

Each agent chooses a place to be: the lever, the start or the door. If enough choose the lever, all who choose the door
at that moment escape and are rewarded; those at the lever have paid for the way there.

    r . D      L, D   the lever and the door, between them the start; a row for each agent
    L . b      Here the first agent, r, pulls the lever and pays 1; so the second, b, escapes and earns 10.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, NamedTuple, Self

import gymnasium as gym
import numpy as np
from pydantic import Field, model_validator

from ..core.config import configuration
from .game import Scene, Sprite, WithoutChance, legal, with_agent_ids

PLACES = ("lever", "start", "door")
LEVER, START, DOOR = 0, 1, 2


class State(NamedTuple):
    """`B` running episodes."""

    key: np.ndarray  # (B,) uint64; nothing is drawn
    t: np.ndarray  # (B,) int32 steps played
    places: np.ndarray  # (B, N) int8 where each agent is: LEVER, START or DOOR


class Events(NamedTuple):
    """What happened in one step."""

    pulled: np.ndarray  # (B, N) bool: chose the lever
    escaped: np.ndarray  # (B, N) bool: chose the door while it was open
    moved: np.ndarray  # (B, N) bool: chose another place than its own


@configuration
class EscapeRoom(WithoutChance[State, Events]):
    """`N` agents, of which `min_at_lever` (M) must choose the lever for the door to open.

    An action is the place to be, and all act at once, so agents may wait at the lever or at the door. The door is open
    in a step in which M or more choose the lever.

    - observation: uint8 of 0 and 1, (4 N,): the agent's own place (lever, start, door), then each other's, in order;
      then which agent it is.
    - actions: int (B, N), the index of a place: lever, start, door.
    - events: `pulled` the lever, `escaped`, and `moved`, all bool (B, N).
    - reward: float32 (B, N), `escape_reward` for escaping, and then the way costs nothing; else `-move_cost` for
      moving.
    - end: when anyone escapes. The horizon ends the game, unless it `truncates`.

    With the rewards of the presets the best that all can reach is `10 (N - M) - M`: 9 for (2, 1), 8 for (3, 2).

    Source: LIO, Yang et al. 2020 (arXiv:2006.06051), rules read in its public code. There an agent also observes what
    it has given to the others, which belongs to that mechanism and not to the game.
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {
        "2-1": {"players": 2, "min_at_lever": 1},
        "3-2": {"players": 3, "min_at_lever": 2},
    }
    version: ClassVar[int] = 1
    classes: ClassVar[int] = 0

    players: int = Field(default=2, ge=2, le=16)
    """Number of agents: N."""
    min_at_lever: int = Field(default=1, ge=1)
    """How many must choose the lever for the door to open: M."""
    horizon: int = Field(default=5, ge=1)
    """Steps of an episode in which nobody escapes."""
    truncates: bool = False
    """Whether the horizon cuts the episode (learners bootstrap) or ends it."""
    escape_reward: float = Field(default=10.0, allow_inf_nan=False)
    """Reward for escaping."""
    move_cost: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Cost of choosing another place than one's own, unless one escapes."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_at_lever >= self.players:
            raise ValueError(
                f"min_at_lever {self.min_at_lever} leaves none of {self.players} players to escape; "
                f"ask for at most {self.players - 1}, or for more players"
            )
        return self

    # Agents, actions and spaces

    @cached_property
    def agents(self) -> tuple[str, ...]:
        return tuple(f"agent_{i}" for i in range(self.players))

    @property
    def action_names(self) -> tuple[str, ...]:
        return PLACES

    @cached_property
    def observation_space(self) -> gym.spaces.Box:
        return gym.spaces.Box(0, 1, (4 * self.players,), np.uint8)

    @property
    def verifiable(self) -> tuple[str, ...]:
        return ("pulled", "escaped")

    # The rules

    def reset(self, keys: np.ndarray) -> State:
        """New episodes: everyone at the start."""
        keys = np.ascontiguousarray(keys, np.uint64)
        return State(keys, np.zeros(keys.shape, np.int32), np.full((len(keys), self.players), START, np.int8))

    def step(self, state: State, actions: np.ndarray) -> tuple[State, Events]:
        """One step of every environment; `actions` (B, N).

        Raises UsageError where an action is none of `action_names`.
        """
        places = legal(actions, state.places.shape, PLACES).astype(np.int8)
        pulled = places == LEVER
        escaped = (places == DOOR) & self._open(places)[:, None]
        return State(state.key, state.t + 1, places), Events(pulled, escaped, places != state.places)

    def rewards(self, events: Events) -> np.ndarray:
        stuck = np.where(events.moved, -self.move_cost, 0.0)
        return np.where(events.escaped, self.escape_reward, stuck).astype(np.float32)

    def principal_reward(self, events: Events) -> np.ndarray:
        """(B,) float32: welfare, the sum of the agents' rewards."""
        return self.rewards(events).sum(axis=1)

    def facts(self, events: Events) -> np.ndarray:
        """(B, N, 2): whether each chose the lever, and whether it escaped."""
        return np.stack([events.pulled, events.escaped], axis=-1).astype(np.float32)

    def terminated(self, state: State) -> np.ndarray:
        """(B,) bool: someone stands at the door that the others hold open, so it has escaped."""
        return self._open(state.places) & (state.places == DOOR).any(axis=1)

    def _open(self, places: np.ndarray) -> np.ndarray:
        """(B,) bool: whether enough are at the lever, given the `places` (B, N)."""
        return (places == LEVER).sum(axis=1) >= self.min_at_lever

    # Observations

    def observe(self, state: State) -> np.ndarray:
        everyone = np.arange(self.players)
        order = np.array([[i, *np.delete(everyone, i)] for i in everyone])
        return with_agent_ids(_one_hot(state.places[:, order]))

    def world(self, state: State) -> np.ndarray:
        """(B, 3 N) uint8: everyone's place, which is all there is."""
        return _one_hot(state.places)

    def scene(self, state: State, events: Events | None, index: int) -> Scene:
        """A row for each agent, from the lever on the left to the door on the right."""
        places = state.places[index]
        sprites = [Sprite("agent", i, place, i) for i, place in enumerate(places.tolist())]
        sprites += [Sprite("lever", -1, LEVER, -1, "on" * bool((places == LEVER).any()))]
        sprites += [Sprite("door", -1, DOOR, -1, "open" * bool(self._open(state.places)[index]))]
        words = [f"step {state.t[index]}"]
        if events is not None:
            words.append(f"door {'open' if self._open(state.places)[index] else 'closed'}")
            outcome = zip(self.agents, events.escaped[index], self.rewards(events)[index].tolist(), strict=True)
            words += [f"{name} {'escapes' if out else 'stays behind'}: {earned:g}" for name, out, earned in outcome]
        ground = ("L.D",) * self.players
        return Scene(self.players, len(PLACES), ground, tuple(sprites), "; ".join(words), "choices", PLACES)

    # The table of the exact solver

    @property
    def states(self) -> int:
        """Where everyone can be, those states included in which the game is over."""
        return 3**self.players

    def index(self, state: State) -> np.ndarray:
        """(B,) int64 in [0, `states`): agent 0's place varies slowest."""
        return np.asarray(state.places.astype(np.int64) @ 3 ** np.arange(self.players)[::-1])

    def representatives(self) -> State:
        """A state for every index, in order."""
        places = np.indices((3,) * self.players).reshape(self.players, -1).T.astype(np.int8)
        return State(np.zeros(self.states, np.uint64), np.zeros(self.states, np.int32), places)


def _one_hot(places: np.ndarray) -> np.ndarray:
    """(..., 3 N) uint8: which place each of `places` (..., N) is."""
    which = places[..., None] == np.array([LEVER, START, DOOR])
    return which.reshape(*places.shape[:-1], -1).astype(np.uint8)
