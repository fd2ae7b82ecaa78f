"""The Coin Game as a table for the exact solver: its states, and all that chance may do."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from ...core.config import UsageError
from ..game import check_listable, legal
from .kernels import Rules, State
from .outcomes import choices_of, combinations


class CoinTable:
    """What the solver asks of the Coin Game: a mixin that reads the game's fields."""

    grid_size: int
    players: int
    coins: str
    new_coin: str
    start_apart: bool
    edges: str
    last_step_pays: bool

    @property
    def action_names(self) -> tuple[str, ...]:
        raise NotImplementedError

    @property
    def _rules(self) -> Rules:
        raise NotImplementedError

    @property
    def _coins(self) -> int:
        """How many coins lie on the grid."""
        raise NotImplementedError

    @cached_property
    def states(self) -> int:
        """How many states there are but for translations of the torus.

        Raises UsageError where rewards depend on the time.
        """
        if not self.last_step_pays:
            raise UsageError("a game whose last step pays nothing has no table of states; set last_step_pays=true")
        return int(self._owners * self.grid_size ** (2 * self._places))

    def index(self, state: State) -> np.ndarray:
        """(B,) int64 in [0, `states`): equal for states that a translation of the torus maps onto each other.

        For two agents and one coin it counts (owner, blue - red, coin - red), the last one fastest. Walls leave
        nothing to translate: there it counts (owner, red, blue, coin).
        """
        places = np.concatenate([state.agents, state.coins], axis=1).astype(np.int64)
        if self.edges == "torus":
            places = (places[:, 1:] - places[:, :1]) % self.grid_size
        index = state.owners[:, 0].astype(np.int64) if self.coins == "one" else np.zeros(len(places), np.int64)
        for row, column in places.transpose(1, 2, 0):
            index = (index * self.grid_size + row) * self.grid_size + column
        return index

    def representatives(self) -> State:
        """A state for every index, in order; on a torus agent 0 stands at (0, 0).

        Raises UsageError where that is too much to list.
        """
        G, B = self.grid_size, check_listable(self.states, "states", self._smaller)
        index = np.arange(B)
        places = np.zeros((B, self.players + self._coins, 2), np.int8)
        for place in reversed(range(places.shape[1] - self._places, places.shape[1])):
            index, places[:, place, 0], places[:, place, 1] = index // G**2, index // G % G, index % G
        owners = index[:, None] if self.coins == "one" else np.tile(np.arange(self.players), (B, 1))
        agents, coins = np.split(places, [self.players], axis=1)
        keys, t = np.zeros(B, np.uint64), np.zeros(B, np.int32)
        return State(keys, t, agents.copy(), coins.copy(), owners.astype(np.int8))

    def outcomes(self, state: State, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All that chance may do in a step: draws (B, K, S) for `play` and their probabilities (B, K).

        Every distinguishable outcome is listed once; rows with fewer than K of them end with probability 0.
        """
        return combinations(choices_of(self._rules, state.agents, state.coins, self._legal(state, actions)))

    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        """All that chance may do at the start: draws (K, S) for `begin` and their probabilities (K,).

        Raises UsageError where that is too much to list.
        """
        check_listable(math.prod(self._start_choices), "starts", self._smaller)
        draws, probabilities = combinations(np.array([self._start_choices]))
        return draws[0], probabilities[0]

    @cached_property
    def _owners(self) -> int:
        """How many ways there are for the coins' colours."""
        return self.players if self.coins == "one" else 1

    @cached_property
    def _places(self) -> int:
        """How many places a state has, relative to agent 0 on a torus."""
        return self.players + self._coins - (self.edges == "torus")

    @cached_property
    def _start_choices(self) -> list[int]:
        """How many equally likely alternatives each slot of `begin` has."""
        cells, N = self.grid_size**2, self.players
        agents = [cells - i if self.start_apart else cells for i in range(N)]
        coins = [cells if self.new_coin == "any" else cells - N] * self._coins
        return [*agents, *coins, self._owners]

    @property
    def _smaller(self) -> str:
        return f"a smaller grid_size than {self.grid_size} or fewer players than {self.players}"

    def _legal(self, state: State, actions: np.ndarray) -> np.ndarray:
        return legal(actions, state.agents.shape[:2], self.action_names)
