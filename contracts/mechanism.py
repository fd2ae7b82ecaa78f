"""What every mechanism is: terms offered, terms seen, and the ledger that settles each step."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import SkipValidation

from ..core.config import configuration
from ..core.search_space import SearchSpace
from ..envs.game import Game
from .ledger import Ledger


class Transition(NamedTuple):
    """One step of `B` environments, as a mechanism sees it when it settles."""

    state: Any
    terms: Any
    actions: np.ndarray  # (B, N) what was done
    events: Any
    rewards: np.ndarray  # (B, N), from the environment alone
    next_state: Any  # before any reset
    terminated: np.ndarray  # (B,)
    truncated: np.ndarray  # (B,)
    values: np.ndarray | None = None  # (B, N) what each agent expected before, and ...
    next_values: np.ndarray | None = None  # ... expects after, before any reset; only where a mechanism needs it
    chosen: np.ndarray | None = None  # (B, N) what the agents chose, before the mechanism acted for any
    probabilities: np.ndarray | None = None  # (B, N, A) with which each agent chose; only where a mechanism needs it


class Decisions(NamedTuple):
    """What a principal decides for one step: a recommended action for each agent, and the pay.

    That is for following it, unless the mechanism pays for something else.
    """

    recommended: np.ndarray  # (B, N) int, -1 where nothing is recommended
    promised: np.ndarray  # (B, N) float32, >= 0; (B, N, K) where each of K verifiable facts has its price, or where
    # pay for following is contingent on which of K = A^(N-1) joint actions the others take (`RecommendationContract`)

    @classmethod
    def pay_only(cls, promised: np.ndarray) -> Self:
        """Decisions that recommend no action, and pay as `promised`."""
        return cls(np.full(promised.shape[:2], -1), promised.astype(np.float32, copy=False))


class Summary(NamedTuple):
    """A step's terms for people: in a replay, a window, the text of a view."""

    recommended: np.ndarray  # (B, N) int, -1 where nothing is recommended
    promised: np.ndarray  # (B, N) float32 for following, 0 where nothing is; (B, N, K) for each of K verifiable facts
    words: np.ndarray  # (B, N) str: what else holds for the agent, empty for nothing


@configuration
class Mechanism:
    """A contract (what may be promised, what it pays) with a rule for who chooses the terms.

    This base promises nothing and pays nothing; a mechanism overrides what differs. Its fields are its parameters.
    `memory` carries what lasts beyond a step: terms held for an episode, smoothed rewards, who follows.
    """

    game: Annotated[Game, SkipValidation]

    principal: ClassVar[str | type] = ""  # the role that decides for it: its class, or its id; empty where nobody does
    keeps_agents: ClassVar[bool] = False  # whether its role keeps the agents beside which it learned, as `agents`
    common_reward: ClassVar[bool] = False  # whether all agents learn from the same: they are a team
    needs_values: ClassVar[bool] = False  # whether it settles by the agents' value estimates
    needs_probabilities: ClassVar[bool] = False  # whether it settles by the probabilities of the agents' actions
    tuned: ClassVar[SearchSpace] = {}  # where `paymaster tune` searches for its parameters, by name
    terms_size: ClassVar[int] = 0  # K, the numbers that describe an agent's terms beside its observation

    @classmethod
    def searched(cls, game: Game) -> SearchSpace:
        """Where `paymaster tune` searches for its parameters in a game; `rates.cleaned` is a value of a parameter."""
        return cls.tuned

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of the numbers that `record` gives; `held` is whether agents have agreed to anything at all."""
        return ()

    @property
    def played(self) -> Game:
        """The game as it is played: `game`, or one around it that has an action more."""
        return self.game

    @property
    def promised_shape(self) -> tuple[int, ...]:
        """Of what a principal promises in one environment."""
        return (len(self.game.agents),)

    @property
    def promised_shapes(self) -> tuple[tuple[int, ...], ...]:
        """All shapes that a promise may have, `promised_shape` first."""
        return (self.promised_shape,)

    @property
    def promised_bounds(self) -> tuple[float, float]:
        """The least and the most that a promise may be: from 0 on, unless a mechanism says otherwise."""
        return 0.0, np.inf

    def check_principal(self) -> None:
        """Raise UsageError for a game on which there can be no principal such as the mechanism needs."""

    def start(self, keys: np.ndarray) -> Any:
        """The memory of new episodes, one for each key (B,)."""
        return ()

    def offer(self, memory: Any, state: Any, decisions: Decisions | None) -> tuple[Any, Any]:
        """The terms for the coming step, and the memory. `decisions` come from the principal, where there is one.

        Unless a mechanism says otherwise the decisions are the terms.
        """
        return () if decisions is None else decisions, memory

    def view(self, terms: Any, B: int) -> np.ndarray:
        """(B, N, K) float32: what each agent is shown of its terms."""
        return np.zeros((B, len(self.game.agents), 0), np.float32)

    def record(self, terms: Any, B: int) -> np.ndarray:
        """(B, len(recorded)): what is kept of a step's terms, as a mean over each episode; nan where there is none."""
        return np.zeros((B, 0))

    def due(self, memory: Any, B: int) -> np.ndarray:
        """(B,) bool: where the coming step needs a principal's decisions; where none does, none are made."""
        return np.full(B, bool(self.principal))

    def summary(self, terms: Any, B: int) -> Summary:
        """What people are told of a step's terms, and what a replay keeps of them."""
        N = len(self.game.agents)
        if isinstance(terms, Decisions):
            return Summary(terms.recommended, terms.promised, np.full((B, N), ""))
        words = [in_words(terms, b, N) for b in range(B)]
        return Summary(np.full((B, N), -1), np.zeros((B, N), np.float32), np.array(words).reshape(B, N))

    def act(self, terms: Any, actions: np.ndarray) -> np.ndarray:
        """What is done, (B, N): the agents' chosen `actions`, but for agents that let the mechanism act for them."""
        return actions

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        """The money of a step, and the memory after it."""
        return Ledger.zeros(*transition.rewards.shape), memory

    def complied(self, terms: Any, chosen: np.ndarray) -> np.ndarray | None:
        """(B, N) bool: whose choice did as recommended; None where nothing is recommended."""
        return None


def welfare_weights(players: int, favour: float) -> np.ndarray:
    """(N,) what each agent's reward counts to a principal: 1, and for each next agent less by the share `favour`.

    A principal to whom all count alike is indifferent wherever agents could change places, and pays for it: whoever is
    to do the work may refuse, since another is then asked. One with favourites asks the same agent again.
    """
    return (1.0 - favour) ** np.arange(players)


def in_words(terms: Any, b: int, agents: int) -> list[str]:
    """The terms of environment `b` for each agent, field by field; empty where they are no NamedTuple."""
    if not hasattr(terms, "_fields"):
        return [""] * agents
    return [
        ", ".join(_field(name, part[b], i, agents) for name, part in terms._asdict().items()) for i in range(agents)
    ]


def _field(name: str, part: Any, agent: int, agents: int) -> str:
    value = np.asarray(part)
    if value.ndim and len(value) == agents:
        value = value[agent]
    if value.dtype == np.bool_ and not value.ndim:
        return f"{'' if value else 'not '}{name}"
    return f"{name} {' '.join(f'{number:.3g}' for number in np.atleast_1d(value).ravel())}"
