"""Matrix games: everyone is better off if all cooperate, and someone has a reason not to.

All choose at once between cooperating (0) and defecting (1), once or many times over. What each earns is a table of
the joint action, the smallest dilemma there is:

                    cooperate   defect
        cooperate     3, 3       0, 4       the prisoner's dilemma: whatever the other does, defecting earns 1 more
        defect        4, 0       1, 1
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Literal, NamedTuple, Self, get_args

import gymnasium as gym
import numpy as np
from pydantic import Field, model_validator

from ..core.config import configuration
from .game import Scene, Sprite, WithoutChance, legal, with_agent_ids

ACTIONS = ("cooperate", "defect")
COOPERATE, DEFECT = 0, 1
NOTHING = -1  # in the place of an action, before the first step

Payoff = Annotated[float, Field(allow_inf_nan=False)]
Stake = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Network = Literal["symmetrical", "cyclical", "tycoon", "circular"]
PAIRWISE = {  # what one earns against one other in CC, CD, DC, DD: all three have c = 3, d = 1 of Willis et al.
    "prisoners-dilemma": (3.0, 0.0, 4.0, 1.0),
    "chicken": (3.0, 1.0, 4.0, 0.0),
    "stag-hunt": (4.0, 0.0, 3.0, 1.0),
}


class State(NamedTuple):
    """`B` running episodes."""

    key: np.ndarray  # (B,) uint64; nothing is drawn
    t: np.ndarray  # (B,) int32 steps played
    played: np.ndarray  # (B, N) int8 the last step's actions; NOTHING at the start


class Events(NamedTuple):
    """What happened in one step."""

    cooperated: np.ndarray  # (B, N) bool


class StageGame(WithoutChance[State, Events]):
    """What all games of this file share: one stage game, played `horizon` times; a game says what it pays (`earned`).

    - observation: uint8 of 0 and 1, (1 + 3N,): whether this is the start, then what each agent did in the last step,
      cooperated or defected: the agent itself, then those after it in turn; then which agent it is.
    - actions: int (B, N), 0 to cooperate and 1 to defect.
    - events: `cooperated` bool (B, N).
    - reward: float32 (B, N), what the game pays at the joint action.
    - end: none before the horizon, which ends the game unless it `truncates`.
    """

    version: ClassVar[int] = 1
    classes: ClassVar[int] = 0

    players: int
    horizon: int

    def earned(self, cooperated: np.ndarray) -> np.ndarray:
        """(B, N) float64: what each agent earns in one step, given who `cooperated` (B, N)."""
        raise NotImplementedError

    @cached_property
    def payoffs(self) -> np.ndarray:
        """(2,) * N + (N,) float64: what each agent earns in the stage game, at the joint action of the first N axes."""
        joint = np.indices((2,) * self.players).reshape(self.players, -1).T
        return self.earned(joint == COOPERATE).reshape(*(2,) * self.players, self.players)

    # Agents, actions and spaces

    @cached_property
    def agents(self) -> tuple[str, ...]:
        return tuple(f"agent_{i}" for i in range(self.players))

    @property
    def action_names(self) -> tuple[str, ...]:
        return ACTIONS

    @cached_property
    def observation_space(self) -> gym.spaces.Box:
        return gym.spaces.Box(0, 1, (1 + 3 * self.players,), np.uint8)

    @property
    def verifiable(self) -> tuple[str, ...]:
        return ("cooperated",)

    # The rules

    def reset(self, keys: np.ndarray) -> State:
        """New episodes: all alike, since chance has no part in these games."""
        keys = np.ascontiguousarray(keys, np.uint64)
        played = np.full((len(keys), self.players), NOTHING, np.int8)
        return State(keys, np.zeros(keys.shape, np.int32), played)

    def step(self, state: State, actions: np.ndarray) -> tuple[State, Events]:
        """One step of every environment; `actions` (B, N).

        Raises UsageError where an action is none of `action_names`.
        """
        actions = legal(actions, state.played.shape, ACTIONS)
        return State(state.key, state.t + 1, actions.astype(np.int8)), Events(actions == COOPERATE)

    def rewards(self, events: Events) -> np.ndarray:
        return self.earned(events.cooperated).astype(np.float32)

    def principal_reward(self, events: Events) -> np.ndarray:
        """(B,) float32: welfare, the sum of the agents' rewards."""
        return self.rewards(events).sum(axis=1)

    def facts(self, events: Events) -> np.ndarray:
        """(B, N, 1): whether each cooperated."""
        return events.cooperated[..., None].astype(np.float32)

    def terminated(self, state: State) -> np.ndarray:
        return np.zeros(state.t.shape, np.bool_)

    # Observations

    def observe(self, state: State) -> np.ndarray:
        order = np.arange(self.players)
        return with_agent_ids(_one_hot(state.played[:, (order[:, None] + order) % self.players]))

    def world(self, state: State) -> np.ndarray:
        """(B, 1 + 2N) uint8: what everyone did last, which is all there is."""
        return _one_hot(state.played)

    def scene(self, state: State, events: Events | None, index: int) -> Scene:
        """Of two agents the table of payoffs, agent 0's actions down; of more a row for each, between its choices."""
        played = state.played[index].tolist()
        words = [f"step {state.t[index]}"]
        if events is not None:
            outcome = zip(self.agents, events.cooperated[index], self.rewards(events)[index].tolist(), strict=True)
            words += [f"{name} {'cooperates' if did else 'defects'}: {earned:.4g}" for name, did, earned in outcome]
        caption = "; ".join(words)
        return _table(self.payoffs, played, caption) if self.players == 2 else _choices(played, caption)

    # Scripted agents

    def scripted(self, observations: np.ndarray, cooperating: np.ndarray) -> np.ndarray:
        """The actions (B, N) of agents that cooperate where `cooperating` (B, N), else defect."""
        return np.where(cooperating, COOPERATE, DEFECT)

    def defections(self, events: Events) -> np.ndarray:
        """(B, N, N) bool: who (axis 1) defected, on each of the others (axis 2)."""
        return ~events.cooperated[:, :, None] & ~np.eye(self.players, dtype=bool)

    # The table of the exact solver

    @property
    def states(self) -> int:
        """The start and, where the game goes on after it, every joint action of the last step."""
        return 1 if self.horizon == 1 else 1 + 2**self.players

    def index(self, state: State) -> np.ndarray:
        """(B,) int64 in [0, `states`): 0 at the start, else 1 + the last joint action, agent 0 varying slowest."""
        after = 1 + state.played.astype(np.int64) @ 2 ** np.arange(self.players)[::-1]
        return np.where((state.played[:, 0] == NOTHING) | (self.states == 1), 0, after)

    def representatives(self) -> State:
        """A state for every index, in order."""
        joint = np.indices((2,) * self.players).reshape(self.players, -1).T
        played = np.concatenate([np.full((1, self.players), NOTHING), joint])[: self.states].astype(np.int8)
        return State(np.zeros(self.states, np.uint64), np.zeros(self.states, np.int32), played)


@configuration
class MatrixGame(StageGame):
    """Every agent plays a game of two against each of its neighbours, with one action for all of them.

    With u the four payoffs of the game of two, `pairwise`, agent i earns `stake_i sum_j w_ij u(a_i, a_j)`. The
    weights w are those of Willis et al., named after whom an agent depends on:

    - symmetrical: everyone, `1 / (N - 1)` each.
    - cyclical: the next agent in the circle alone, 1.
    - tycoon: agent 0, the tycoon, on every other and they on it, 1 each.
    - circular: everyone, `2 ** -distance` around the circle; with two agents that is 1/2.

    With two agents the first three are the game of two itself. The presets of four agents are one-shot and have Willis
    et al.'s c = 3, d = 1: the prisoner's dilemma pays c, 0, c + d, d; chicken c, d, c + d, 0; the stag hunt c + d, 0,
    c, d. Four is the least number of agents at which the networks all differ. The iterated prisoner's dilemma is
    LOLA's; the discount of .96 that goes with it is the learners' business.

    Sources: Willis et al. 2023 (arXiv:2310.12928) and its public code, where the definitions were read; LOLA, Foerster
    et al. 2018 (arXiv:1709.04326).
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {
        **{name: {"pairwise": payoffs} for name, payoffs in PAIRWISE.items()},
        "iterated-prisoners-dilemma": {"pairwise": (-1.0, -3.0, 0.0, -2.0), "horizon": 150},
        "asymmetric-prisoners-dilemma": {"stakes": (2.0, 1.0)},
        **{
            f"{network}-{name}": {"network": network, "pairwise": payoffs, "players": 4}
            for network in get_args(Network)
            for name, payoffs in PAIRWISE.items()
        },
    }

    players: int = Field(default=2, ge=2, le=16)
    """Number of agents."""
    horizon: int = Field(default=1, ge=1)
    """How many times the game is played: 1 for one shot."""
    truncates: bool = False
    """Whether the horizon cuts the episode (learners bootstrap) or ends it."""
    pairwise: tuple[Payoff, Payoff, Payoff, Payoff] = PAIRWISE["prisoners-dilemma"]
    """What one earns against one other in CC, CD, DC and DD, its own action first."""
    network: Network = "symmetrical"
    """Whom an agent's payoff depends on: all others equally; the next one; agent 0 on all and all on agent 0; all
    others, those nearer around the circle more."""
    stakes: tuple[Stake, ...] = ()
    """What the payoffs of each agent are multiplied by, one number each; 1 if none are given."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.stakes) not in (0, self.players):
            raise ValueError(
                f"{len(self.stakes)} stakes were given for {self.players} players; give one number for each, or none"
            )
        return self

    @cached_property
    def weights(self) -> np.ndarray:
        """(N, N) float64: how much of its game against agent j (axis 1) agent i (axis 0) earns, stakes included."""
        i, j = np.indices((self.players, self.players))
        after = (j - i) % self.players
        weights = {
            "symmetrical": np.full(i.shape, 1 / (self.players - 1)),
            "cyclical": after == 1,
            "tycoon": (i == 0) | (j == 0),
            "circular": 0.5 ** np.minimum(after, self.players - after),
        }[self.network]
        stakes = np.array(self.stakes or (1.0,) * self.players)
        return np.where(i == j, 0.0, stakes[:, None] * weights)

    def earned(self, cooperated: np.ndarray) -> np.ndarray:
        cc, cd, dc, dd = self.pairwise
        with_cooperators, with_defectors = cooperated @ self.weights.T, ~cooperated @ self.weights.T
        return np.where(
            cooperated,
            cc * with_cooperators + cd * with_defectors,
            dc * with_cooperators + dd * with_defectors,
        )


@configuration
class PublicGoods(StageGame):
    """Each agent has an endowment to keep or to give; what is given is multiplied and shared equally among all.

    With n the number who give, an agent earns `endowment (kept + multiplier n / N)`. With a multiplier k between 1 and
    N nobody gains by giving, and all gain if all give. Cooperating is giving. The group of the presets, four agents
    with k = 1.6, and the ten rounds of `iterated-4`, are those of Fehr and Gächter 2000 (American Economic Review 90),
    who let people give any part of 20.
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {
        "one-shot-4": {"players": 4, "multiplier": 1.6},
        "iterated-4": {"players": 4, "multiplier": 1.6, "horizon": 10},
    }

    players: int = Field(default=4, ge=2, le=16)
    """Number of agents."""
    horizon: int = Field(default=1, ge=1)
    """How many times the game is played: 1 for one shot."""
    truncates: bool = False
    """Whether the horizon cuts the episode (learners bootstrap) or ends it."""
    multiplier: float = Field(default=1.6, gt=0, allow_inf_nan=False)
    """What the gifts together are multiplied by: k."""
    endowment: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """What each agent has to keep or to give, at every step."""

    def earned(self, cooperated: np.ndarray) -> np.ndarray:
        given = cooperated.sum(axis=1, keepdims=True)
        return self.endowment * (~cooperated + self.multiplier / self.players * given)


def _table(payoffs: np.ndarray, played: Sequence[int], caption: str) -> Scene:
    """The payoffs (2, 2, 2) of two agents, who stand beside the row and above the column that they played."""
    sprites = [
        Sprite("payoff", row, column, i, f"{payoffs[row, column, i]:.4g}")
        for row, column, i in np.ndindex(payoffs.shape)
    ]
    places = [0.5 if action == NOTHING else action for action in played]
    sprites += [Sprite("agent", places[0], -1, 0), Sprite("agent", -1, places[1], 1)]
    if NOTHING not in played:
        sprites.append(Sprite("played", places[0], places[1], -1))
    return Scene(2, 2, ("..", ".."), tuple(sprites), caption, "payoffs", ACTIONS)


def _choices(played: Sequence[int], caption: str) -> Scene:
    """A row for each agent, which stands left if it cooperated, right if it defected, else between the two."""
    places = {COOPERATE: 0, NOTHING: 1, DEFECT: 2}
    sprites = tuple(Sprite("agent", i, places[action], i) for i, action in enumerate(played))
    return Scene(len(played), 3, ("C.D",) * len(played), sprites, caption, "choices", (ACTIONS[0], "", ACTIONS[1]))


def _one_hot(played: np.ndarray) -> np.ndarray:
    """(..., 1 + 2N) uint8: whether there is no last step, and for each action of `played` (..., N) which it was."""
    which = played[..., None] == np.array([COOPERATE, DEFECT])
    return np.concatenate([played[..., :1] == NOTHING, which.reshape(*played.shape[:-1], -1)], axis=-1).astype(np.uint8)
