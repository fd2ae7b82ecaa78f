"""Persuasion: a recruiter hires or rejects candidates of whom it knows nothing; somebody else knows how good they are.

Most candidates are bad, so a recruiter that is told nothing hires nobody. Who knows them gains from every hire, so it
would say anything: what it says is worth listening to only if it is bad for hiring bad ones often enough.

                 hire    reject
        good      1        0        what the recruiter earns; who knows the candidate has 1 from each that is hired
        bad      -1        0
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
from pydantic import Field

from ..core.config import configuration
from ..core.random import uniform_array
from .game import Scene, Sprite, legal

ACTIONS = ("hire", "reject")
HIRE, REJECT = 0, 1
NOTHING = -1  # in the place of an action, before the first step


class State(NamedTuple):
    """`B` running episodes."""

    key: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,) int32 steps played
    good: np.ndarray  # (B,) bool: whether the candidate is good
    done: np.ndarray  # (B,) int8 what was done with the one before; NOTHING at the start


class Events(NamedTuple):
    """What happened in one step."""

    hired: np.ndarray  # (B,) bool
    good: np.ndarray  # (B,) bool


@configuration
class Persuasion:
    """One agent, a recruiter, decides about `horizon` candidates one after the other, and observes none of them.

    - observation: uint8 of 0 and 1, (3,): whether this is the first candidate, the last one was hired, or rejected.
    - actions: int (B, 1), 0 to hire and 1 to reject.
    - events: whether the candidate was `hired`, and whether it was `good`, both bool (B,).
    - reward: float32 (B, 1), `value_of_good` for a good one hired, `-cost_of_bad` for a bad one.
    - principal's reward: float32 (B,), 1 for each hire. It is who knows the candidates, and sees them (`world`).
    - end: after `horizon` candidates, naturally.

    A candidate is good with the chance `good`, whatever came before. The exact solutions are those of one candidate,
    times their number: what the recruiter does if it is told nothing, if it is told the truth, and under the best
    signals that it should obey (Kamenica and Gentzkow 2011, "Bayesian persuasion").

    The preset is the recommendation letter of Lin et al. 2023 (arXiv:2305.06807): a professor recommends students.
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {"recommendation-letter": {}}
    version: ClassVar[int] = 1
    truncates: ClassVar[bool] = False
    classes: ClassVar[int] = 0
    hidden_state: ClassVar[bool] = True

    horizon: int = Field(default=1, ge=1)
    """Candidates in an episode."""
    good: float = Field(default=1 / 3, ge=0.0, le=1.0)
    """The chance that a candidate is good."""
    value_of_good: float = Field(default=1.0, allow_inf_nan=False)
    """What the recruiter earns by hiring a good one."""
    cost_of_bad: float = Field(default=1.0, allow_inf_nan=False)
    """What it loses by hiring a bad one."""

    # Agents, actions and spaces

    @property
    def agents(self) -> tuple[str, ...]:
        return ("recruiter",)

    @property
    def action_names(self) -> tuple[str, ...]:
        return ACTIONS

    @cached_property
    def observation_space(self) -> gym.spaces.Box:
        return gym.spaces.Box(0, 1, (3,), np.uint8)

    @property
    def verifiable(self) -> tuple[str, ...]:
        return ("hired",)

    # The rules

    def reset(self, keys: np.ndarray) -> State:
        """New episodes for `keys` (B,)."""
        keys = np.ascontiguousarray(keys, np.uint64)
        B = len(keys)
        return State(keys, np.zeros(B, np.int32), self._drawn(keys, 0), np.full(B, NOTHING, np.int8))

    def step(self, state: State, actions: np.ndarray) -> tuple[State, Events]:
        """One step of every environment; `actions` (B, 1).

        Raises UsageError where an action is none of `action_names`.
        """
        done = legal(actions, (len(state.t), 1), ACTIONS)[:, 0]
        t = state.t + 1
        following = State(state.key, t, self._drawn(state.key, t), done.astype(np.int8))
        return following, Events(done == HIRE, state.good)

    def rewards(self, events: Events) -> np.ndarray:
        worth = np.where(events.good, self.value_of_good, -self.cost_of_bad)
        return np.where(events.hired, worth, 0.0)[:, None].astype(np.float32)

    def principal_reward(self, events: Events) -> np.ndarray:
        """(B,) float32: 1 for each hire, which is not welfare."""
        return events.hired.astype(np.float32)

    def facts(self, events: Events) -> np.ndarray:
        """(B, 1, 1): whether the candidate was hired."""
        return events.hired[:, None, None].astype(np.float32)

    def terminated(self, state: State) -> np.ndarray:
        return np.zeros(state.t.shape, np.bool_)

    def _drawn(self, key: np.ndarray, t: np.ndarray | int) -> np.ndarray:
        """(B,) bool: whether the candidate of step `t` is good."""
        return uniform_array(key, t, 0) < self.good

    # For the exact solutions

    @property
    def prior(self) -> np.ndarray:
        """(2,): the chances of a bad candidate and of a good one."""
        return np.array([1.0 - self.good, self.good])

    def representatives(self) -> State:
        """A bad candidate and a good one."""
        good = np.array([False, True])
        return State(np.zeros(2, np.uint64), np.zeros(2, np.int32), good, np.full(2, NOTHING, np.int8))

    # Observations

    def observe(self, state: State) -> np.ndarray:
        return (state.done[:, None] == np.array([NOTHING, HIRE, REJECT])).astype(np.uint8)[:, None]

    def world(self, state: State) -> np.ndarray:
        """(B, 1) uint8: whether the candidate is good."""
        return state.good[:, None].astype(np.uint8)

    def scene(self, state: State, events: Events | None, index: int) -> Scene:
        """The recruiter stands where it put the last candidate, before the first between the two."""
        place = {HIRE: 0, NOTHING: 1, REJECT: 2}[int(state.done[index])]
        words = [f"step {state.t[index]}"]
        if events is not None:
            quality, hired = "good" if events.good[index] else "bad", bool(events.hired[index])
            words.append(f"a {quality} candidate is {'hired' if hired else 'rejected'}")
        sprites = (Sprite("agent", 0, place, 0),)
        return Scene(1, 3, ("C.D",), sprites, "; ".join(words), "choices", (ACTIONS[0], "", ACTIONS[1]))
