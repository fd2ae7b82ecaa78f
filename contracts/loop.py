"""The loop on which everything hangs: a game under a mechanism, `B` environments at a time.

    terms, memory  = mechanism.offer(memory, state, decisions)       # what every agent is promised
    seen           = game.observe(state), mechanism.view(terms)      # what it may know
    actions        = agents(seen)                                    # learned elsewhere
    state', events = game.step(state, actions)                       # what happened: named facts
    ledger, memory = mechanism.settle(memory, transition)            # who is paid what

Learning, evaluation, the PettingZoo views and the recorded replay all play this loop; none has one of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..core.arrays import where
from ..core.config import UsageError
from ..core.random import episode_keys, uniform_array
from ..envs.game import Game, cut_short
from .ledger import Ledger
from .mechanism import Decisions, Mechanism, Transition

LUCK = 1 << 41  # agents' draws stand at steps that no episode reaches, so they never meet the game's

Principal = Callable[[Game, Any], Decisions]  # (game, state) -> decisions, with no memory of its own


class Seen(NamedTuple):
    """What the agents know when they act."""

    observations: np.ndarray  # (B, N, *observation)
    terms: np.ndarray  # (B, N, K) float32
    luck: np.ndarray | None = None  # (B, N) in [0, 1): the episode's own draws, for agents that act by chance


Act = Callable[[Seen], np.ndarray]  # (B, N): what each agent does
Value = Callable[[Seen], np.ndarray]  # (B, N): what each agent expects to earn from here on, discounted


class Episodes(NamedTuple):
    """Finished episodes, in the order in which they ended; `E` of them."""

    steps: np.ndarray  # (E,) int64 environment steps of the phase when the episode ended, itself included
    key: np.ndarray  # (E,) uint64: with the policies, it gives the episode again
    length: np.ndarray  # (E,) int32
    returns: np.ndarray  # (E, N) from the environment alone
    payments: np.ndarray  # (E, N) from the principal
    transfers: np.ndarray  # (E, N) net, received minus given
    transfer_volume: np.ndarray  # (E,) gross
    shaping: np.ndarray  # (E, N)
    compliance: np.ndarray  # (E,) share of actions that followed the recommendation; nan where there is none
    principal_returns: np.ndarray  # (E,) what the principal values, before it pays: welfare unless the game says else
    terms: np.ndarray  # (E, K) means over its steps of what the mechanism records of its terms

    def __add__(self, other: Episodes) -> Episodes:  # type: ignore[override]
        return Episodes(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def select(self, chosen: np.ndarray) -> Episodes:
        """Those where `chosen` (E,)."""
        return Episodes(*(column[chosen] for column in self))


class Step(NamedTuple):
    """One step of the loop, before any reset."""

    transition: Transition
    ledger: Ledger
    earned: np.ndarray  # (B, N) what each agent learns from: the environment's reward and the mechanism's income
    complied: np.ndarray | None  # (B, N) bool
    seen: Seen  # what the agents would see at next_state
    ended: np.ndarray  # (B,) terminated or truncated: the loop has put a new episode in its place
    episodes: Episodes | None  # those that ended


class Loop:
    """`B` environments of a game under a mechanism, each replaced by a new episode when it ends.

    Episode `n` of environment `b` has the key `episode_keys(seed, stream, b, n)`, so what happens in it depends on
    the seed, the stream and the actions alone. `first` numbers the environments from there, for parallel runners.

    A mechanism that needs the agents' values asks `value`. Raises UsageError at the first step where there is none.
    """

    def __init__(
        self,
        game: Game,
        mechanism: Mechanism,
        B: int,
        *,
        seed: int,
        stream: int = 0,
        principal: Principal | None = None,
        first: int = 0,
        value: Value | None = None,
    ) -> None:
        self.game, self.mechanism, self.B = game, mechanism, B
        self.N = len(game.agents)
        self.principal, self.value = principal, value
        self.seed, self.stream = seed, stream
        self.environment = first + np.arange(B)
        self.restart()

    def restart(self) -> None:
        """Every environment at the start of its first episode."""
        self.episode = np.zeros(self.B, np.int64)
        self.steps = 0
        self.keys = self._keys()
        self.t = np.zeros(self.B, np.int32)
        self.state = self.game.reset(self.keys)
        self.memory = self.mechanism.start(self.keys)
        self._tally = _Tally.zeros(self.B, self.N, len(self.mechanism.recorded))
        self.terms, self.memory, self.seen = self._offer(self.state, self.memory)

    def step(self, actions: np.ndarray) -> Step:
        """Play `actions` (B, N) in every environment."""
        state, terms = self.state, self.terms
        next_state, events = self.game.step(state, actions)
        rewards = self.game.rewards(events)
        self.t = self.t + 1
        self.steps += self.B
        terminated = self.game.terminated(next_state)
        at_horizon = self.t >= self.game.horizon
        if not self.game.truncates:
            terminated = terminated | at_horizon
        truncated = (at_horizon | cut_short(self.game, next_state)) & ~terminated
        transition = Transition(state, terms, actions, events, rewards, next_state, terminated, truncated)
        if self.mechanism.needs_values:
            transition = self._valued(transition)
        ledger, memory = self.mechanism.settle(self.memory, transition)
        complied = self.mechanism.complied(terms, actions)
        valued, recorded = self.game.principal_reward(events), self.mechanism.record(terms, self.B)
        self._tally.add(rewards, valued, ledger, complied, recorded)
        ended = terminated | truncated
        self.state, self.memory = next_state, memory
        self.terms, self.memory, self.seen = self._offer(self.state, self.memory)
        seen, episodes = self.seen, None
        if ended.any():
            episodes = self._tally.close(ended, self.steps, self.keys, self.t)
            self._renew(ended)
        return Step(transition, ledger, rewards + ledger.income(), complied, seen, ended, episodes)

    def _valued(self, transition: Transition) -> Transition:
        """The transition with what the agents expect before and after it; the terms are those that they know."""
        if self.value is None:
            raise UsageError(
                f"{type(self.mechanism).__name__} settles by what the agents expect, and nobody here expects anything; "
                "play it with agents learned by dqn or ppo"
            )
        following = Seen(self.game.observe(transition.next_state), self.seen.terms)
        return transition._replace(values=self.value(self.seen), next_values=self.value(following))

    def _renew(self, ended: np.ndarray) -> None:
        """Put new episodes where one `ended`; their terms are offered anew, the others' stand."""
        self.episode = self.episode + ended
        self.keys = np.where(ended, self._keys(), self.keys)
        self.t = np.where(ended, 0, self.t).astype(np.int32)
        self.state = where(ended, self.game.reset(self.keys), self.state)
        memory = where(ended, self.mechanism.start(self.keys), self.memory)
        terms, memory, seen = self._offer(self.state, memory)
        self.terms = where(ended, terms, self.terms)
        self.memory = where(ended, memory, self.memory)
        self.seen = where(ended, seen, self.seen)

    def _offer(self, state: Any, memory: Any) -> tuple[Any, Any, Seen]:
        decisions = self.principal(self.game, state) if self.principal and self.mechanism.asks(memory) else None
        terms, memory = self.mechanism.offer(memory, state, decisions)
        luck = uniform_array(self.keys[:, None], LUCK + self.t[:, None].astype(np.uint64), np.arange(self.N))
        return terms, memory, Seen(self.game.observe(state), self.mechanism.view(terms, self.B), luck)

    def _keys(self) -> np.ndarray:
        return episode_keys(self.seed, self.stream, self.environment, self.episode)


class _Tally(NamedTuple):
    """Sums over the running episodes."""

    returns: np.ndarray
    payments: np.ndarray
    transfers: np.ndarray
    volume: np.ndarray
    shaping: np.ndarray
    followed: np.ndarray  # nan where nothing is recommended
    principal_returns: np.ndarray
    terms: np.ndarray

    @classmethod
    def zeros(cls, B: int, N: int, K: int) -> _Tally:
        each, whole = (B, N), (B,)
        return cls(*(np.zeros(shape) for shape in (each, each, each, whole, each, whole, whole, (B, K))))

    def add(
        self, rewards: np.ndarray, valued: np.ndarray, ledger: Ledger, complied: np.ndarray | None, recorded: np.ndarray
    ) -> None:
        self.returns[:] += rewards
        self.payments[:] += ledger.payments
        self.transfers[:] += ledger.received()
        self.volume[:] += ledger.transfers.sum(axis=(1, 2))
        self.shaping[:] += ledger.shaping
        self.followed[:] += np.nan if complied is None else complied.mean(axis=1)
        self.principal_returns[:] += valued
        self.terms[:] += recorded

    def close(self, ended: np.ndarray, steps: int, keys: np.ndarray, length: np.ndarray) -> Episodes:
        count = int(ended.sum())
        episodes = Episodes(
            np.full(count, steps, np.int64), keys[ended], length[ended],
            self.returns[ended], self.payments[ended], self.transfers[ended], self.volume[ended],
            self.shaping[ended], self.followed[ended] / length[ended], self.principal_returns[ended],
            self.terms[ended] / length[ended, None],
        )  # fmt: skip
        for total in self:
            total[ended] = 0.0
        return episodes
