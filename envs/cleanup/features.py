"""Cleanup seen as a few numbers: the dilemma of `cleanup.py` under the simpler rules of formal contracts.

    own row, column, facing | nearest agent's | nearest apple, nearest waste | how much of both | who cleaned how much

Christoffersen, Haupt and Hadfield-Menell 2023, "Get it in writing" (arXiv:2208.10469), learn their contracts on it. The
rules were read in their public code.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import gymnasium as gym
import numpy as np
from numba import njit
from pydantic import Field, model_validator

from ...core.config import configuration
from ..game import Scene, legal
from ..grid.maps import APPLE, CLEAN_BEAM, FACINGS, RIVER, WASTE, cells_of, check_map, check_odd, read_map, scene
from ..grid.moves import (
    ACTIONS,
    CLEAN,
    FIRE,
    NOBODY,
    STAY,
    STEPS,
    draw,
    eat,
    enterable,
    fill,
    go,
    occupy,
    place,
    vacate,
)
from ..grid.windows import overview
from .game import CLASSES, LEGEND, SSD
from .kernels import Rules, grow, probabilities, waste_on

NUMBERS = 12  # of an observation, and one more for each agent


class State(NamedTuple):
    """`B` running episodes."""

    key: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,) int32 steps played
    agents: np.ndarray  # (B, N, 2) int8 row, column
    facing: np.ndarray  # (B, N) int8: 0 up, 1 right, 2 down, 3 left
    board: np.ndarray  # (B, H, W) uint8: what every cell shows but for agents and beams
    beams: np.ndarray  # (B, H, W) uint8: CLEAN_BEAM where one went in the last step, else 0
    cleaned: np.ndarray  # (B, N) int16 cells, in the last step


class Events(NamedTuple):
    """What happened in one step."""

    ate: np.ndarray  # (B, N) bool
    cleaned: np.ndarray  # (B, N) int16 cells


@configuration
class CleanupFeatures:
    """`N` agents on Cleanup's map, who see numbers instead of cells and clean all that their beam passes.

    In a step all agents move; who moved or stayed eats the apple on which it stands; agents turn; the beams go in the
    agents' order; waste and apples appear, as much as the river's waste after the beams allows
    (`cleanup_rules.probabilities`). Nobody fires.

    Moves are absolute, whatever the facing. Conflicts are those of Cleanup (`cleanup.Cleanup`).

    Beams: `beam_width` rays beside each other, all over the cells 0 to `beam_length` ahead, so the agent's own too.
    Walls stop a ray; neither agents nor waste do, and all the waste that it passes is cleaned.

    Waste is tried on one clean cell after the other, in reading order, up to the first success: so it returns mostly
    to the top of the map.

    - observation: float32 (12 + N,), not scaled: row, column and facing (0 up, 1 right, 2 down, 3 left) of the agent
      itself, then of the nearest other agent; row and column of the nearest apple, then of the nearest waste, (0, 0)
      without any; the number of apples and of cells with waste; the cells that each agent cleaned in the last step,
      agent 0's first. Nearest is by the sum of rows and columns between, the first in the agents' order, or in reading
      order, where several are.
    - events: who ate, how many cells each cleaned.
    - reward: `apple_reward` for an apple.
    - end: none; the horizon cuts the episode (`truncates`).

    The public code lets two agents share a cell, and the earlier agent have a cell that two want; here a cell holds one
    agent, and who enters is drawn, as in Cleanup. Among the nearest it takes the apple or waste that appeared first,
    which is no part of what is seen on the map; here the first in reading order. Nothing appears at the reset.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {"ssd": {}}
    version: ClassVar[int] = 1
    classes: ClassVar[int] = 0  # the observation holds numbers

    map: tuple[str, ...] = SSD
    """Rows of `@` wall, `H` waste, `R` clean river, `S` stream, `B` apple cell, `P` spawn point, blank floor."""
    horizon: int = Field(default=1000, ge=1)
    """Steps of an episode."""
    truncates: bool = True
    """Whether the horizon cuts the episode (learners bootstrap) or ends it."""
    players: int = Field(default=2, ge=2, le=50)
    """Number of agents; the paper has 2, 4 and 8."""
    beam_length: int = Field(default=5, ge=0, le=100)
    """How many cells ahead each ray of a beam reaches."""
    beam_width: int = Field(default=3, ge=1, le=99)
    """Rays of a beam; odd."""
    depletion: float = Field(default=0.4, gt=0.0, allow_inf_nan=False)
    """The share of waste from which nothing appears."""
    restoration: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """The share of waste up to which apples appear with their full probability."""
    apple_probability: float = Field(default=0.05, ge=0.0, le=1.0)
    """The highest probability of an apple, on each free apple cell in each step."""
    waste_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """The probability of waste on each clean cell tried; they are tried in reading order up to the first success."""
    apple_reward: float = Field(default=1.0, allow_inf_nan=False)
    """Reward for an apple."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_map(self.map, LEGEND, self.players)
        if not {*"HR"} & {*"".join(self.map)}:
            raise ValueError("the map has no river; give it cells 'H' (waste) or 'R' (clean)")
        check_odd(beam_width=self.beam_width)
        if self.restoration >= self.depletion:
            raise ValueError(
                f"restoration {self.restoration} is not below depletion {self.depletion}; "
                "ask for a share of waste that is"
            )
        return self

    # What there is

    @cached_property
    def agents(self) -> tuple[str, ...]:
        return tuple(f"agent_{i}" for i in range(self.players))

    @property
    def action_names(self) -> tuple[str, ...]:
        return ACTIONS[:FIRE]

    @cached_property
    def observation_space(self) -> gym.spaces.Box:
        cell = [len(self.map) - 1, len(self.map[0]) - 1]
        counts = [len(self._rules.apple_cells), len(self._rules.waste_cells)]
        most = self.beam_width * (self.beam_length + 1)  # cells of a beam
        high = [*cell, FACINGS - 1, *cell, FACINGS - 1, *cell, *cell, *counts, *[most] * self.players]
        return gym.spaces.Box(np.zeros(len(high), np.float32), np.array(high, np.float32))

    @property
    def verifiable(self) -> tuple[str, ...]:
        return ("cleaned",)

    # The rules

    def reset(self, keys: np.ndarray) -> State:
        """New episodes: see `begin`."""
        keys = np.ascontiguousarray(keys, np.uint64)
        return self.begin(keys, draw(keys, np.zeros(keys.shape, np.int32), 2 * self.players))

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        """New episodes for `keys` (B,), their chance given: `draws` (B, 2 N) in [0, 1).

        Slots: the spawn point of each agent, among those that are free, then the facing of each.
        """
        agents, facing = place(self._spawns, False, True, self.players, draws)
        board = np.repeat(self._board[None], len(keys), axis=0)
        t, cleaned = np.zeros(keys.shape, np.int32), np.zeros(facing.shape, np.int16)
        return State(keys, t, agents, facing, board, np.zeros_like(board), cleaned)

    def step(self, state: State, actions: np.ndarray) -> tuple[State, Events]:
        """One step of every environment; `actions` (B, N).

        Raises UsageError where an action is none of `action_names`.
        """
        return self._step(state, actions, np.empty((0, 0)))

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        """`step` with its chance given: `draws` (B, S) in [0, 1), slots as in `_play`."""
        return self._step(state, actions, draws)

    def _step(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        actions, t = np.ascontiguousarray(legal(actions, state.facing.shape, self.action_names), np.int64), state.t + 1
        agents, facing, board, beams, ate, cleaned = _play(
            self._rules, state.agents, state.facing, state.board, actions, state.key, t, draws
        )
        return State(state.key, t, agents, facing, board, beams, cleaned), Events(ate, cleaned)

    def rewards(self, events: Events) -> np.ndarray:
        return (self.apple_reward * events.ate).astype(np.float32)

    def principal_reward(self, events: Events) -> np.ndarray:
        """(B,) float32: welfare, the sum of the agents' rewards."""
        return self.rewards(events).sum(axis=1)

    def facts(self, events: Events) -> np.ndarray:
        """(B, N, 1): cells cleaned."""
        return events.cleaned[..., None].astype(np.float32)

    def terminated(self, state: State) -> np.ndarray:
        return np.zeros(state.t.shape, np.bool_)

    # What is seen

    def observe(self, state: State) -> np.ndarray:
        return _features(self._rules, state.agents, state.facing, state.board, state.cleaned)

    def world(self, state: State) -> np.ndarray:
        """(B, H, W) uint8: the whole map as Cleanup shows it; agent i facing f is `cleanup.CLASSES + 4 i + f`."""
        return overview(state.board, state.beams, state.agents, state.facing, CLASSES)

    def scene(self, state: State, events: Events | None, index: int) -> Scene:
        """The map, waste and apples, the beams, the agents, and a caption that says who did what."""
        return scene(self.map, state, index, [] if events is None else self._told(events, index))

    def _told(self, events: Events, index: int) -> list[str]:
        told: list[str] = []
        for i, name in enumerate(self.agents):
            told += [f"{name} eats"] * bool(events.ate[index, i])
            told += [f"{name} cleans {events.cleaned[index, i]}"] * bool(events.cleaned[index, i])
        return told

    # What follows from the rules

    @cached_property
    def _rules(self) -> Rules:
        return Rules(
            ground=read_map(self.map, {**LEGEND, "H": RIVER}),
            apple_cells=cells_of(self.map, "B"),
            waste_cells=cells_of(self.map, "HR"),
            codes=np.arange(FIRE),
            beam_length=self.beam_length,
            beam_width=self.beam_width,
            drawn_order=False,
            depletion=self.depletion,
            restoration=self.restoration,
            apple_probability=self.apple_probability,
            waste_probability=self.waste_probability,
        )

    @cached_property
    def _board(self) -> np.ndarray:
        """(H, W) uint8: the board at the start."""
        return read_map(self.map, LEGEND)

    @cached_property
    def _spawns(self) -> np.ndarray:
        return cells_of(self.map, "P")


# The kernels: one environment at a time


@njit(cache=True)
def _play(
    rules: Rules,
    agents: np.ndarray,
    facing: np.ndarray,
    board: np.ndarray,
    actions: np.ndarray,
    key: np.ndarray,
    t: np.ndarray,
    draws: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """One step of every environment: the new agents, facings, boards and beams, and the Events.

    Its chance is the draws of step `t` (B,), unless `draws` (B, S) are given. With N agents the slots are

    - i: who enters the cell that agent i is the first to want,
    - N: whether waste appears, and where,
    - N + 1 + a: whether an apple appears on apple cell a.
    """
    B, N, _ = agents.shape
    agents, facing, board = agents.copy(), facing.copy(), board.copy()
    beams = np.zeros(board.shape, np.uint8)
    ate, cleaned = np.zeros((B, N), np.bool_), np.zeros((B, N), np.int16)
    occupant = np.full(rules.ground.shape, NOBODY, np.int8)
    room, turned = np.empty((2, N), np.int64), np.empty(N, np.int8)
    empty = np.empty(N + 1 + len(rules.apple_cells))
    for b in range(B):
        drawn = draws[b] if len(draws) else fill(key[b], t[b], empty)
        turned[:] = 0  # moves are absolute: all go as if they faced up
        go(rules.ground, rules.codes, agents[b], turned, actions[b], drawn, room)
        for i in range(N):
            if actions[b, i] <= STAY:
                eat(agents[b, i : i + 1], board[b], ate[b, i : i + 1])
            facing[b, i] = (facing[b, i] + turned[i]) % FACINGS
        for i in range(N):
            if actions[b, i] == CLEAN:
                cleaned[b, i] = _clean(rules, board[b], agents[b, i], facing[b, i], beams[b])
        apple, _ = probabilities(rules, waste_on(rules, board[b]))
        _spoil(rules, board[b], drawn[N])
        occupy(occupant, agents[b])
        grow(rules, board[b], occupant, apple, drawn[N + 1 :])
        vacate(occupant, agents[b])
    return agents, facing, board, beams, ate, cleaned


@njit(cache=True)
def _clean(rules: Rules, board: np.ndarray, agent: np.ndarray, facing: int, beams: np.ndarray) -> int:
    """Clean all waste in the beam of `agent` (2,), marking in `beams` (H, W) where it goes; how many cells that was."""
    count, half = 0, rules.beam_width // 2
    ahead, right = STEPS[facing], STEPS[(facing + 1) % FACINGS]
    for aside in range(-half, half + 1):
        for distance in range(rules.beam_length + 1):
            row = agent[0] + distance * ahead[0] + aside * right[0]
            column = agent[1] + distance * ahead[1] + aside * right[1]
            if not enterable(rules.ground, row, column):
                break
            beams[row, column] = CLEAN_BEAM
            if board[row, column] == WASTE:
                board[row, column] = RIVER
                count += 1
    return count


@njit(cache=True)
def _spoil(rules: Rules, board: np.ndarray, draw: float) -> None:
    """Waste on the first clean cell, in reading order, on which it succeeds, if it does on any.

    On the k-th of them, from 0, that has probability p (1 - p)^k: it is the first with `draw` < 1 - (1 - p)^(k + 1).
    """
    if waste_on(rules, board) / len(rules.waste_cells) >= rules.depletion:
        return
    failed = 1.0
    for w in range(len(rules.waste_cells)):
        row, column = rules.waste_cells[w, 0], rules.waste_cells[w, 1]
        if board[row, column] != WASTE:
            failed *= 1.0 - rules.waste_probability
            if draw < 1.0 - failed:
                board[row, column] = WASTE
                return


@njit(cache=True)
def _features(
    rules: Rules, agents: np.ndarray, facing: np.ndarray, board: np.ndarray, cleaned: np.ndarray
) -> np.ndarray:
    """(B, N, 12 + N) float32: what every agent sees."""
    B, N, _ = agents.shape
    seen = np.zeros((B, N, NUMBERS + N), np.float32)
    for b in range(B):
        for i in range(N):
            row, column, nearest, least = agents[b, i, 0], agents[b, i, 1], NOBODY, 0
            for j in range(N):
                apart = abs(agents[b, j, 0] - row) + abs(agents[b, j, 1] - column)
                if j != i and (nearest == NOBODY or apart < least):
                    nearest, least = j, apart
            seen[b, i, 0], seen[b, i, 1], seen[b, i, 2] = row, column, facing[b, i]
            seen[b, i, 3], seen[b, i, 4] = agents[b, nearest, 0], agents[b, nearest, 1]
            seen[b, i, 5] = facing[b, nearest]
            seen[b, i, 10] = _look(board[b], rules.apple_cells, APPLE, row, column, seen[b, i, 6:8])
            seen[b, i, 11] = _look(board[b], rules.waste_cells, WASTE, row, column, seen[b, i, 8:10])
            for j in range(N):
                seen[b, i, NUMBERS + j] = cleaned[b, j]
    return seen


@njit(cache=True)
def _look(board: np.ndarray, cells: np.ndarray, thing: int, row: int, column: int, found: np.ndarray) -> int:
    """Write the place of the nearest `thing` to `found` (2,), if any of `cells` (n, 2) has one; how many have."""
    count, least = 0, 0
    for k in range(len(cells)):
        if board[cells[k, 0], cells[k, 1]] == thing:
            apart = abs(cells[k, 0] - row) + abs(cells[k, 1] - column)
            if count == 0 or apart < least:
                least, found[0], found[1] = apart, cells[k, 0], cells[k, 1]
            count += 1
    return count
