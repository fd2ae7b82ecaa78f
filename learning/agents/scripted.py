"""`scripted`: agents that do not learn and play by a strategy: partners, opponents, and what learners are shown."""

from __future__ import annotations

from collections.abc import Generator
from typing import ClassVar, Literal, Self, get_args

import numpy as np

from ...contracts.loop import AgentView
from ...contracts.mechanism import Mechanism, Transition
from ...core.checkpoint import Checkpoint, Saved
from ...core.config import UsageError, configuration, configure, to_json
from ...envs import family, name_of
from ...envs.game import Game, tells_cooperation
from ..role import Role, Task, Update

SCRIPTED = "scripted"

Strategy = Literal["cooperate", "defect", "tit-for-tat", "grim"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


class ScriptedPolicy(Saved):
    """Every agent plays `game` by the strategy; the two that answer defections remember them.

    Their memory is `owed` (B, N, N) int32: how many defections of agent j (axis 2) agent i (axis 1) has not answered.
    """

    def __init__(self, game: Game, strategy: Strategy) -> None:
        self.game, self.strategy = game, strategy
        if strategy in ("tit-for-tat", "grim"):
            self.start, self.remember = self._start, self._remember

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agents' actions (B, N)."""
        if self.strategy in ("cooperate", "defect"):
            cooperating = np.full(seen.terms.shape[:2], self.strategy == "cooperate")
        else:
            cooperating = ~seen.memory.any(axis=2)
        return self.game.scripted(seen.observations, cooperating)  # type: ignore[attr-defined]

    def _start(self, keys: np.ndarray) -> np.ndarray:
        N = len(self.game.agents)
        return np.zeros((len(keys), N, N), np.int32)

    def _remember(self, owed: np.ndarray, transition: Transition, earned: np.ndarray) -> np.ndarray:
        defected: np.ndarray = self.game.defections(transition.events)  # type: ignore[attr-defined]
        answered = defected if self.strategy == "tit-for-tat" else 0
        return np.maximum(owed + defected.swapaxes(1, 2) - answered, 0).astype(np.int32)

    def checkpoint(self) -> Checkpoint:
        about = {"game": name_of(self.game), "rules": to_json(self.game), "strategy": self.strategy}
        return Checkpoint({"kind": SCRIPTED, **about})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        about = checkpoint.about
        return cls(configure(family(about["game"]), about["rules"], what="the game"), about["strategy"])


@configuration
class Scripted(Role):
    """Nobody learns: every agent plays by one strategy, in a game that says what cooperating and defecting are.

    Tit for tat (Axelrod and Hamilton 1981) answers each defection of another with one of its own: it defects while
    somebody has defected on it more often than it has answered since. In a matrix game of two that is what the other
    did last; in the Coin Game it takes one coin of who took one of its own. Grim (Friedman 1971) defects from the first
    defection on.
    """

    strategy: Strategy = "tit-for-tat"
    """What the agents do: cooperate or defect always, answer every defection with one, or defect after the first."""

    plays: ClassVar[str] = "agents"
    learns: ClassVar[bool] = False

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a game that does not say what cooperating and defecting are."""
        if not tells_cooperation(mechanism.game):
            raise UsageError(
                f"{type(mechanism.game).__name__} does not say what cooperating and defecting are, so nobody can play "
                "it by a script; matrix games, public goods and the Coin Game do"
            )

    def learn(self, task: Task) -> Generator[Update, None, ScriptedPolicy]:
        yield from ()
        return ScriptedPolicy(task.mechanism.game, self.strategy)

    def kept(self) -> type[ScriptedPolicy]:
        return ScriptedPolicy
