"""What a role is: whatever decides and learns, the agents and those that decide for a mechanism.

A role is a configuration, whose fields are its settings. A run asks it to `learn` a `Task`; what it has learned is
frozen, saved, and loaded again by the class that `kept` names. How it learns is its own affair: by RLlib
(`learning/rllib`), by a table, by a bandit, by exact computation, or by any loop of its own. This module imports
neither torch nor RLlib.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, Self

from ..contracts.episodes import Episodes
from ..contracts.loop import Act, Loop, Minds, Principal, Simulation
from ..contracts.mechanism import Mechanism
from ..core.checkpoint import Saved
from ..core.config import configuration
from ..core.random import Stream
from ..core.search_space import SearchSpace
from ..envs.game import Game
from .settings import Resources

ALONE = Resources()
REPLAY, ORDERS, ROLES = 4, 5, 6  # streams of draws for learning; 3 is that of the starts at which contracts are signed


class Phase(NamedTuple):
    """A phase of a run, as data: who learns in it, and how its budget is divided. What does not learn is frozen."""

    name: str
    stream: int  # of the episodes' keys: no phase sees another's episodes
    learns: tuple[str, ...]  # "principal", "agents"
    generations: int = 1  # how often agents begin anew, after equal parts of the budget; their optimisers go on
    burn_in: float = 0.0  # the share of each generation in which only the agents learn


TRAIN = Phase("train", 0, ("principal", "agents"))
VALIDATE = Phase("validate", 1, ("agents",))
EVALUATE = Phase("evaluate", 2, ())
PHASES = (TRAIN, VALIDATE, EVALUATE)


class Update(NamedTuple):
    """Progress of a phase since its last update."""

    steps: int  # environment steps of the phase so far
    total: int  # its budget
    episodes: Episodes | None  # the finished ones
    training: dict[str, float]  # losses by name; a run keeps them in training.parquet


class Finished(NamedTuple):
    """What the agents of a finished run play by."""

    algorithm: str
    settings: dict[str, Any]  # all of them, JSON-ready
    policy: Any  # `policy(seen)` gives actions (B, N)


@dataclass(frozen=True)
class Task:
    """What a role learns on: a game under a mechanism, the budget, and where its draws come from."""

    game: Game
    mechanism: Mechanism
    phase: Phase
    seed: int
    steps: int  # the budget, in environment steps
    principal: Principal | None = None  # what decides for the mechanism; frozen but in the phase in which it learns
    resources: Resources = ALONE
    begin: Saved | None = None  # what was learned before and is learned further; None for a fresh start
    beside: Mapping[tuple[int, ...], Act] = field(default_factory=dict)  # policies of the agents that do not learn
    policies: Mapping[str, Finished] = field(default_factory=dict)  # of other runs, for a role that `plays_by` them

    def loop(self, B: int) -> Loop:
        """`B` environments of this phase, whose decisions and actions whoever runs it passes in."""
        return Loop(self.game, self.mechanism, B, seed=self.seed, stream=self.phase.stream)

    def simulation(self, B: int, agents: object = None) -> Simulation:
        """`B` environments of this phase, in which `principal` decides.

        `agents` may have methods `values(seen)` (B, N) and `probabilities(seen)` (B, N, A), for mechanisms that ask.
        """
        return Simulation(
            self.game, self.mechanism, B,
            seed=self.seed, stream=self.phase.stream, principal=self.principal, minds=Minds.of(agents),
        )  # fmt: skip

    def draws(self, number: int = 0) -> Stream:
        """A stream of random draws of this phase and seed, for what a role draws in learning."""
        return Stream(self.seed, ROLES, self.phase.stream + len(PHASES) * number)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """RLlib copies configurations again and again; a task never changes, and its principal must stay the same."""
        return self


@configuration
class Role:
    """Whatever decides and learns. Its fields are its settings, and a subclass overrides `learn` and `kept`.

    Some fields have a meaning for a run: `steps` of a principal, which must have it if it learns, is the budget of its
    training; its `alpha`, its price of money, is in the run's name where it is not the default; `discount` of agents is
    that at which audits judge them.
    """

    plays: ClassVar[str] = "principal"  # whom it plays: the "agents", or the "principal", who decides for a mechanism
    learns: ClassVar[bool] = True  # whether anything is learned, or it is computed
    continues: ClassVar[bool] = False  # whether it can learn further what was learned before (`Task.begin`)
    tuned: ClassVar[SearchSpace] = {}  # where `paymaster tune` searches for its settings, by their stored names
    keeps: ClassVar[str] = ""  # of Paymaster's own roles: module:class of what is learned, for `kept`
    margins: ClassVar[type | None] = None  # settings of what it promises, on which none of its training depends

    @property
    def plays_by(self) -> tuple[str, ...]:
        """What it calls policies of finished runs by which it plays; a run says whose they are (`policies_from`)."""
        return ()

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError where the role cannot play under the mechanism. It must be quick: every plan calls it."""

    def learn(self, task: Task) -> Generator[Update, None, Saved]:
        """Learn the task: yield progress, and return what has been learned.

        Agents return a policy: `policy(seen)` gives actions (B, N) for an `AgentView`, and `policy.values(seen)`
        (B, N), where there is one, what each agent expects. A principal returns what gives decisions for
        `(game, state)`. Both are `Saved`, and do not change when they act. A policy that remembers an episode has
        `start(keys)`, the memory of new ones, and `remember(memory, transition, earned)`, the memory after a step:
        arrays (B, ...) in tuples, which the loop carries and shows as `seen.memory`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it learns")

    def kept(self) -> type[Saved]:
        """The class of what is learned, which loads it again."""
        module, _, name = self.keeps.partition(":")
        return getattr(import_module(module, __package__), name)
