"""The Coin Game: every coin is worth picking, and everyone is better off if each leaves the others' coins alone.

Agents walk on a grid on which coins appear, each in one agent's colour. Whoever picks a coin gains; where the coin
was another's, its owner gains less than it would have, or even loses.

    . . . b      r, b   the agents red (0) and blue (1)
    . R . .      R, B   a coin of red, of blue
    r . . .      Here red may take its own coin in two moves, blue may take it in three.

Lerer and Peysakhovich 2017 (arXiv:1707.01068) introduced the game; the presets follow the papers that changed it.
"""

from __future__ import annotations

import math
from functools import cached_property
from itertools import product
from typing import ClassVar, Literal, Self

import gymnasium as gym
import numpy as np
from pydantic import Field, model_validator

from ...core.config import configuration
from ...core.random import FROM_KEYS, draws_of
from ..game import Scene, Sprite, Symmetry
from . import kernels, scripts
from .kernels import ANY, BOTH, ELSEWHERE, FIRST, FREE, MOVES, UNIFORM, Events, Rules, State
from .table import CoinTable

ACTIONS = ("right", "left", "down", "up", "stay")
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "cyan", "pink")


@configuration
class CoinGame(CoinTable):
    """`N` agents on a `G x G` grid, and one coin, or one coin for each.

    In each step all agents move at once. Every agent that then stands on a coin's cell has arrived there; the rule
    `tie` says which of those that arrived pick the coin. So an agent that stays, or bumps into a wall, on the cell of
    a coin that has appeared under it picks that coin, as in the public code of Pax, JaxMARL and MATE. A picked coin is
    replaced by a new one, placed after all agents have moved. Actions are numbered as in LOLA in every preset.

    - observation: uint8 planes of 0 and 1, (4, G, G): itself, all others, its own coin, the others' coins.
      With `observation="mutual"` (2N + 2, G, G): those planes centred on itself, then two for each next agent, centred
      on that: its own coin, the others' coins. So how far the others are from a coin, and who is nearer, is plain to
      see; of the other planes it is a sum of places modulo G, which dense layers of a few hundred units hardly learn.
      With `observation="absolute"` (2N, G, G): every agent's place, then the coin of every agent.
    - actions: int (B, N), the index of a move in `action_names`: right, left, down, up; stay too, where `stay` is set.
    - events: `picked` bool (B, N, N), who picked whose coin; `left` bool (B, N, N), who left whose coin that was within
      its reach; `paid` bool (B,), whether this step's coins are paid for.
    - reward: float32 (B, N), `own_coin` or `others_coin` for a coin picked, and `owner_payoff` to the owner for each
      other agent that picks it.
    - end: none; the horizon cuts the episode (`truncates`).

    The papers leave open, and here it is so: with more than two agents colours take turns in the agents' order; coins
    do not keep apart from each other (only `coins="one-each"` has several); in `ivanov-*` colours alternate as in
    RLlib's game, on which that paper builds, and a coin has a single winner, since the dilemma vanishes if both are
    paid. The numbers of `ivanov-*` are relayed by a second source, those of the others were read in public code;
    `mfos-3x3` has the horizon of Pax, where JaxMARL has 10.

    Sources: Ivanov et al. 2024 (arXiv:2407.18074); LOLA, Foerster et al. 2018 (arXiv:1709.04326); M-FOS, Lu et al.
    2022 (arXiv:2205.01447); MATE, Phan et al. 2022 (AAMAS); the Coin Game of RLlib's examples.
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {
        "ivanov-7x7": {"grid_size": 7, "horizon": 50},
        "ivanov-3x3": {"grid_size": 3, "horizon": 20},
        "rllib-3x3": {"grid_size": 3, "horizon": 20, "others_coin": 1.0, "owner_payoff": -2.0, "tie": "both"},
        "lola-3x3": {
            "grid_size": 3, "horizon": 150, "others_coin": 1.0, "owner_payoff": -2.0, "tie": "first",
            "observation": "absolute",
        },
        "mfos-3x3": {
            "grid_size": 3, "horizon": 16, "others_coin": 1.0, "owner_payoff": -2.0, "tie": "both",
            "coins": "one-each", "new_coin": "any", "start_apart": False, "stay": True, "last_step_pays": False,
        },
        "mate-2": {
            "grid_size": 3, "horizon": 150, "others_coin": 1.0, "owner_payoff": -2.0, "tie": "both",
            "edges": "walls", "next_colour": "uniform", "new_coin": "elsewhere",
        },
    }  # fmt: skip
    version: ClassVar[int] = 1
    classes: ClassVar[int] = 0

    grid_size: int = Field(default=7, ge=2, le=100)
    """Rows and columns of the grid."""
    horizon: int = Field(default=50, ge=1)
    """Steps of an episode."""
    truncates: bool = True
    """Whether the horizon cuts the episode (learners bootstrap) or ends it."""
    players: int = Field(default=2, ge=2, le=100)
    """Number of agents, each with a colour of its own."""
    own_coin: float = Field(default=1.0, allow_inf_nan=False)
    """Reward for picking a coin of one's own colour."""
    others_coin: float = Field(default=0.2, allow_inf_nan=False)
    """Reward for picking a coin of another's colour."""
    owner_payoff: float = Field(default=0.0, allow_inf_nan=False)
    """Reward of a coin's owner for each other agent that picks it; negative for a loss."""
    coins: Literal["one", "one-each"] = "one"
    """How many coins lie on the grid: one, or one of each colour."""
    next_colour: Literal["alternate", "uniform"] = "alternate"
    """Colour of the next coin where there is one: the next agent's in turn, or any, drawn uniformly."""
    tie: Literal["uniform", "both", "first"] = "uniform"
    """Who picks a coin on which several arrive: one of them, drawn uniformly; all of them; the first agent."""
    new_coin: Literal["free", "any", "elsewhere"] = "free"
    """Where a new coin appears, uniformly: where no agent stands; anywhere; anywhere but on the picked coin's cell."""
    start_apart: bool = True
    """Whether the agents start on different cells, or anywhere."""
    edges: Literal["torus", "walls"] = "torus"
    """Whether a move off the grid comes in on the other side, or is not made."""
    stay: bool = False
    """Whether agents may also stay where they are."""
    last_step_pays: bool = True
    """Whether coins picked in the last step of the horizon are paid for."""
    observation: Literal["planes", "egocentric", "mutual", "absolute"] = "planes"
    """From the agent's own point of view; the same with the torus rolled so that it stands at the centre; that and, in
    turn, where each of the others sees coins so; the same planes for all."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        cells = self.grid_size**2
        if self.players >= cells:
            raise ValueError(
                f"{self.players} players leave no cell of a {self.grid_size} x {self.grid_size} grid free for a coin; "
                f"ask for at most {cells - 1} players, or for a larger grid_size"
            )
        if self._centred and self.edges == "walls":
            raise ValueError(
                f"observation '{self.observation}' rolls a torus and edges are 'walls'; "
                "ask for observation 'planes' or 'absolute', or for edges 'torus'"
            )
        return self

    # Agents, actions and spaces

    @cached_property
    def agents(self) -> tuple[str, ...]:
        return tuple(COLOURS[i] if i < len(COLOURS) else f"agent_{i}" for i in range(self.players))

    @cached_property
    def action_names(self) -> tuple[str, ...]:
        return ACTIONS if self.stay else ACTIONS[:4]

    @cached_property
    def observation_space(self) -> gym.spaces.Box:
        planes = {"absolute": 2 * self.players, "mutual": 2 * self.players + 2}.get(self.observation, 4)
        return gym.spaces.Box(0, 1, (planes, self.grid_size, self.grid_size), np.uint8)

    @property
    def verifiable(self) -> tuple[str, ...]:
        return ("own_picked", "others_left")

    @cached_property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """The board as it is, turned and mirrored: 8 views, the plain one first."""
        cells = np.arange(math.prod(self.observation_space.shape)).reshape(self.observation_space.shape)
        moves = MOVES[: len(self.action_names)]
        centred = self._centred and self.grid_size % 2 == 0  # no cell of the mirror is the centre
        views = []
        for transposed, *flipped in product((False, True), repeat=3):
            seen, moved = (cells.swapaxes(1, 2), moves[:, ::-1]) if transposed else (cells, moves)
            for axis in (axis for axis in (0, 1) if flipped[axis]):
                seen = np.roll(np.flip(seen, 1 + axis), int(centred), 1 + axis)
                moved = np.where(np.arange(2) == axis, -moved, moved)
            same = (moved[:, None] == moves).all(axis=2)
            views.append(Symmetry(seen.ravel(), same.argmax(axis=1)))
        return tuple(views)

    # The rules

    def reset(self, keys: np.ndarray) -> State:
        """New episodes: see `begin`."""
        keys = np.ascontiguousarray(keys, np.uint64)
        return self.begin(keys, draws_of(keys, np.zeros(keys.shape, np.int32), self._start_slots))

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        """New episodes for `keys` (B,), their chance given: `draws` (B, S) in [0, 1).

        Slots: the cell of each agent, then the cell of each coin, then the colour of the coin where there is one.
        """
        keys = np.ascontiguousarray(keys, np.uint64)
        return kernels.begin(self._rules, self.players, self._coins, keys, draws)

    def step(self, state: State, actions: np.ndarray) -> tuple[State, Events]:
        """One step of every environment; `actions` (B, N).

        Raises UsageError where an action is none of `action_names`.
        """
        return kernels.play(self._rules, state, self._legal(state, actions), FROM_KEYS)

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        """`step` with its chance given: `draws` (B, S) in [0, 1), slots WINNER, CELL and COLOUR of each coin."""
        return kernels.play(self._rules, state, self._legal(state, actions), np.ascontiguousarray(draws, np.float64))

    def rewards(self, events: Events) -> np.ndarray:
        return kernels.pay(self.own_coin, self.others_coin, self.owner_payoff, events.picked, events.paid)

    def principal_reward(self, events: Events) -> np.ndarray:
        """(B,) float32: welfare, the sum of the agents' rewards."""
        return self.rewards(events).sum(axis=1)

    def facts(self, events: Events) -> np.ndarray:
        """(B, N, 2): own coins picked, and coins of others left that were within reach."""
        own = np.eye(self.players, dtype=bool)
        counts = [(events.picked & own).sum(axis=2), (events.left & ~own).sum(axis=2)]
        return np.stack(counts, axis=-1).astype(np.float32)

    def terminated(self, state: State) -> np.ndarray:
        return np.zeros(state.t.shape, np.bool_)

    # Observations

    def observe(self, state: State) -> np.ndarray:
        if self.observation == "absolute":
            return np.repeat(self.world(state)[:, None], self.players, axis=1)
        planes = kernels.observe_board(self.grid_size, self._centred, state.agents, state.coins, state.owners)
        if self.observation == "mutual":
            nexts = [np.roll(planes[:, :, 2:], -k, axis=1) for k in range(1, self.players)]
            planes = np.concatenate([planes, *nexts], axis=2)
        return planes

    # Scripted agents

    def scripted(self, observations: np.ndarray, cooperating: np.ndarray) -> np.ndarray:
        """The actions (B, N) of agents that go to the nearest coin: one of theirs where `cooperating` (B, N), else any.

        Who cooperates does not step on another's coin, unless its own lies on the same cell; where no coin is its own,
        it stays or walks on.
        """
        if self.observation == "absolute":
            places, coins = observations[:, 0, : self.players], observations[:, 0, self.players :]
            others = coins.sum(axis=1, keepdims=True) > coins
        else:
            places, coins, others = (observations[:, :, plane] for plane in (0, 2, 3))
        own, anyone = coins > 0, ~cooperating[..., None, None]
        wanted = own | (others > 0) & anyone
        return scripts.nearest(self._rules, places > 0, wanted, (others > 0) & ~wanted)

    def defections(self, events: Events) -> np.ndarray:
        """(B, N, N) bool: who (axis 1) picked a coin of another (axis 2), and not its own on the same cell."""
        return events.picked & ~np.diagonal(events.picked, axis1=1, axis2=2)[..., None]

    @property
    def _centred(self) -> bool:
        return self.observation in ("egocentric", "mutual")

    def world(self, state: State) -> np.ndarray:
        """(B, 2N, G, G) uint8: the place of each agent, then the coin of each agent."""
        return kernels.world_planes(self.grid_size, state.agents, state.coins, state.owners)

    def scene(self, state: State, events: Events | None, index: int) -> Scene:
        """The grid within its walls, if it has any, the coins, the agents, and a caption that says who picked what."""
        side, wall = self.grid_size, int(self.edges == "walls")
        coins = zip((state.coins[index] + wall).tolist(), state.owners[index].tolist(), strict=True)
        agents = enumerate((state.agents[index] + wall).tolist())
        sprites = [Sprite("coin", row, column, owner) for (row, column), owner in coins]
        sprites += [Sprite("agent", row, column, i) for i, (row, column) in agents]
        picks = np.argwhere(events.picked[index]).tolist() if events else []
        words = [f"{self.agents[i]} picks {'own' if i == j else self.agents[j]} coin" for i, j in picks]
        ground: tuple[str, ...] = ("." * side,) * side
        if wall:
            ground = ("@" * (side + 2), *(f"@{row}@" for row in ground), "@" * (side + 2))
        caption = "; ".join([f"step {state.t[index]}", *words])
        return Scene(side + 2 * wall, side + 2 * wall, ground, tuple(sprites), caption)

    # What follows from the rules

    @cached_property
    def _rules(self) -> Rules:
        return Rules(
            grid_size=self.grid_size,
            actions=len(self.action_names),
            torus=self.edges == "torus",
            apart=self.start_apart,
            tie={"uniform": UNIFORM, "both": BOTH, "first": FIRST}[self.tie],
            first_coin=ANY if self.new_coin == "any" else FREE,
            new_coin={"free": FREE, "any": ANY, "elsewhere": ELSEWHERE}[self.new_coin],
            colours=self.players if self.coins == "one" and self.next_colour == "uniform" else 1,
            horizon=self.horizon,
            last_step_pays=self.last_step_pays,
        )

    @cached_property
    def _coins(self) -> int:
        return 1 if self.coins == "one" else self.players

    @cached_property
    def _start_slots(self) -> int:
        return self.players + self._coins + 1
