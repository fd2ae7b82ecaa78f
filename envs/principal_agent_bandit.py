"""The principal-agent bandit: an agent pulls one of K arms, and a principal gains more by another one than it.

Whoever is paid enough for an arm pulls it. The principal knows neither what it gains by an arm nor what an arm takes.

        arm                    1      2      3      4      5
        the agent earns      0.64   0.99   0.73   0.61   0.59      Unpaid the agent pulls arm 2. Arm 3 takes 0.26,
        the principal gains  0.30   0.24   0.88   0.07   0.65      which leaves the principal 0.62 instead of 0.24.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import gymnasium as gym
import numpy as np
from pydantic import Field, model_validator

from ..core.config import configuration
from .game import OneDrawAStep, Scene, Sprite, legal

NOTHING = -1  # in the place of an arm, before the round
UP, DOWN = 0.25, 0.75  # draws that stand for both signs of the noise

Money = Annotated[float, Field(allow_inf_nan=False)]


class State(NamedTuple):
    """`B` rounds."""

    key: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,) int32 steps played
    pulled: np.ndarray  # (B,) int64 the arm; NOTHING at the start


class Events(NamedTuple):
    """What happened in one step."""

    pulled: np.ndarray  # (B,) int64
    gain: np.ndarray  # (B,) float64 the principal's


@configuration
class PrincipalAgentBandit(OneDrawAStep[State, Events]):
    """One agent pulls one of K arms; an episode is a round.

    - observation: uint16 (1, 1), one class of two: 1 in the round, 0 after it.
    - actions: int (B, 1), the arm, from 0 on; arm k is called `arm_k`, from 1 on.
    - events: the arm that was `pulled`, int64 (B,), and the principal's `gain` by it, float64 (B,). Arms are
      verifiable, each a fact of its own.
    - reward: float32 (B, 1), what the agent earns by the arm (`rewards_of`), which is certain.
    - principal's reward: float32 (B,), the arm's mean (`gains_of`) plus or minus the `noise`, with even chance.
    - end: after the round, naturally.

    The principal has rewards of its own, in money, as where actions are hidden. Nothing is hidden here: every action
    has an outcome of its own, so that contracts on outcomes are contracts on actions, and their exact solution is too.

    The preset has the numbers of Scheid et al. 2024, "Incentivized learning in principal-agent bandit games"
    (arXiv:2403.03811), as their public code has them. Their noise is normal with a standard deviation; ours has two
    values, which are listed exactly, and the same deviation.
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {"scheid-5": {}}
    version: ClassVar[int] = 1
    truncates: ClassVar[bool] = False
    hidden_actions: ClassVar[bool] = True
    classes: ClassVar[int] = 2
    states: ClassVar[int] = 1

    horizon: Literal[1] = 1
    """Steps in an episode, which is one round."""
    rewards_of: tuple[Money, ...] = (0.64, 0.99, 0.73, 0.61, 0.59)
    """What the agent earns by each arm."""
    gains_of: tuple[Money, ...] = (0.30, 0.24, 0.88, 0.07, 0.65)
    """The mean of what the principal gains by each arm."""
    noise: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    """The standard deviation of what the principal gains."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.rewards_of) != len(self.gains_of) or len(self.rewards_of) < 2:
            raise ValueError(
                f"rewards are given of {len(self.rewards_of)} arms and gains of {len(self.gains_of)}; give one number "
                "of each for every arm, of which there are two or more"
            )
        return self

    # Agents, actions and spaces

    @cached_property
    def action_names(self) -> tuple[str, ...]:
        return tuple(f"arm_{arm}" for arm in range(1, len(self.rewards_of) + 1))

    @property
    def verifiable(self) -> tuple[str, ...]:
        return self.action_names

    @cached_property
    def observation_space(self) -> gym.spaces.Box:
        return gym.spaces.Box(0, 1, (1, 1), np.uint16)

    # The rules

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        """New rounds for `keys` (B,); nothing is drawn, `draws` is (B, 0)."""
        keys = np.ascontiguousarray(keys, np.uint64)
        return State(keys, np.zeros(len(keys), np.int32), np.full(len(keys), NOTHING, np.int64))

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        """`step` with its chance given: `draws` (B, 1) in [0, 1), of which the lower half is the noise above."""
        pulled = legal(actions, (len(state.t), 1), self.action_names)[:, 0]
        gain = np.array(self.gains_of)[pulled] + np.where(draws[:, 0] < 0.5, self.noise, -self.noise)
        return State(state.key, state.t + 1, pulled), Events(pulled, gain)

    def rewards(self, events: Events) -> np.ndarray:
        return np.array(self.rewards_of, np.float32)[events.pulled][:, None]

    def principal_reward(self, events: Events) -> np.ndarray:
        """(B,) float32: the principal's own, and not welfare."""
        return events.gain.astype(np.float32)

    def facts(self, events: Events) -> np.ndarray:
        """(B, 1, K): which arm was pulled."""
        return np.eye(len(self.rewards_of), dtype=np.float32)[events.pulled][:, None]

    def terminated(self, state: State) -> np.ndarray:
        return state.t >= self.horizon

    # Observations

    def world(self, state: State) -> np.ndarray:
        """(B, 1, 1) uint16: whether the round is still to be played."""
        return (~self.terminated(state)).astype(np.uint16)[:, None, None]

    def scene(self, state: State, events: Events | None, index: int) -> Scene:
        """The agent stands left of all arms, then at the one that it pulled."""
        words = [f"step {state.t[index]}"]
        if events is not None:
            words.append(f"{self.action_names[events.pulled[index]]} gains the principal {events.gain[index]:.2f}")
        sprites = (Sprite("agent", 0, int(state.pulled[index]) + 1, 0),)
        K = len(self.rewards_of)
        return Scene(1, K + 1, ("." + "o" * K,), sprites, "; ".join(words), "choices", ("", *self.action_names))

    # The table of the exact solver

    def representatives(self) -> State:
        return self.begin(np.zeros(1, np.uint64), np.empty((1, 0)))

    def index(self, state: State) -> np.ndarray:
        """(B,) int64: the one state in which anything is decided."""
        return np.zeros(len(state.t), np.int64)

    def outcomes(self, state: State, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both signs of the noise: draws (B, 2, 1), and their probabilities (B, 2)."""
        B = len(actions)
        return np.broadcast_to([[UP], [DOWN]], (B, 2, 1)), np.full((B, 2), 0.5)
