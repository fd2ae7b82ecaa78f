"""`ccc`: consequentialist conditional cooperation, by the policies of two finished runs."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from ...contracts.loop import AgentView, Minds, own_view
from ...contracts.mechanism import Transition
from ...core.checkpoint import Checkpoint, Saved
from ...core.config import UsageError, configuration
from ..freezing import freeze
from ..role import Finished, Role, Task, Update
from .mixed import MixedPolicy, Part, made

COOPERATIVE, SELFISH = "cooperative", "selfish"
ROUNDING = 1e-6  # of sums of rewards


class ConditionalPolicy(Saved):
    """Every agent plays the cooperative policy while it has earned at least `enough` by now, else the selfish one.

    It remembers the steps played (B,), what each agent earned in them (B, N), and what both policies remember.
    """

    def __init__(self, policies: Mapping[str, Finished], enough: np.ndarray) -> None:
        self.policies, self.enough = dict(policies), enough  # (T + 1, N) reward, after so many steps
        self.both = [policies[name].policy for name in (COOPERATIVE, SELFISH)]
        self.minds = Minds.remembering(self.both)

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agents' actions (B, N)."""
        t, earned, memories = seen.memory
        cooperative, selfish = (
            policy(own_view(seen._replace(memory=memories), place)) for place, policy in enumerate(self.both)
        )
        return np.where(earned >= self.enough[t], cooperative, selfish)

    def start(self, keys: np.ndarray) -> Any:
        memories = self.minds.start(keys) if self.minds.start else ()
        return np.zeros(len(keys), np.int64), np.zeros((len(keys), self.enough.shape[1])), memories

    def remember(self, memory: Any, transition: Transition, earned: np.ndarray) -> Any:
        t, before, memories = memory
        if self.minds.remember:
            memories = self.minds.remember(memories, transition, earned)
        return t + 1, before + earned, memories

    def checkpoint(self) -> Checkpoint:
        about, arrays = {}, {"enough": self.enough}
        for name, (algorithm, settings, policy) in self.policies.items():
            kept = policy.checkpoint()
            about[name] = {"algorithm": algorithm, "settings": settings, "policy": dict(kept.about)}
            arrays |= {f"{name}/{key}": array for key, array in kept.arrays.items()}
        return Checkpoint({"kind": "ccc", "policies": about}, arrays)

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        arrays = dict(checkpoint.arrays)
        enough = arrays.pop("enough")
        return cls({name: _again(name, about, arrays) for name, about in checkpoint.about["policies"].items()}, enough)


@configuration
class ConditionalCooperation(Role):
    """Nobody learns: every agent cooperates while that pays it as it should, by the policies of two finished runs.

    It plays by `cooperative`, what agents learned in a joint run, while what it has earned by now is at least `(1 -
    leniency) CC + leniency CD`, else by `selfish`, what they learned for themselves. CC is what it earns by now, on
    average, where all play by `cooperative`, and CD what it earns where it alone does and the others play by `selfish`.
    Both are found by playing `rollouts` episodes, so nothing is learned, and an agent needs to see nobody's actions,
    only its own income. Where incomes vary by chance it would soon lose its patience: `slack` of their standard
    deviations by now are forgiven. The paper compares rates per step over long episodes; sums by now are the same
    thing where episodes are short and begin slowly.

    Sources: Peysakhovich and Lerer 2018 (arXiv:1710.06975).
    """

    leniency: float = Field(default=0.5, ge=0, le=1)
    """How far the threshold lies from what cooperation gives to what a cooperator gets from defectors: the paper's
    alpha."""
    slack: float = Field(default=1.0, ge=0)
    """By how many standard deviations of a cooperator's income among cooperators less is forgiven."""
    rollouts: int = Field(default=256, ge=2)
    """Episodes of each of both kinds by which the threshold is found."""

    plays: ClassVar[str] = "agents"
    learns: ClassVar[bool] = False

    @property
    def plays_by(self) -> tuple[str, ...]:
        return COOPERATIVE, SELFISH

    def learn(self, task: Task) -> Generator[Update, None, ConditionalPolicy]:
        yield from ()
        missing = [name for name in self.plays_by if name not in task.policies]
        if missing:
            raise UsageError(f"ccc plays by policies of finished runs, and has none for {' and '.join(missing)}")
        given = {name: task.policies[name] for name in self.plays_by}
        return ConditionalPolicy(given, self._enough(task, *(each.policy for each in given.values())))

    def kept(self) -> type[ConditionalPolicy]:
        return ConditionalPolicy

    def _enough(self, task: Task, cooperative: Any, selfish: Any) -> np.ndarray:
        """(T + 1, N): the reward by which an agent has earned enough, after each number of steps."""
        N = len(task.game.agents)
        among = self._earned(task, [cooperative] * N)
        robbed = [self._earned(task, [cooperative if i == j else selfish for j in range(N)])[:, :, i] for i in range(N)]
        expected = (1 - self.leniency) * among.mean(axis=1)
        expected += self.leniency * np.stack([each.mean(axis=1) for each in robbed], axis=1)
        return expected - self.slack * among.std(axis=1) - ROUNDING

    def _earned(self, task: Task, policies: Sequence[Any]) -> np.ndarray:
        """(T + 1, E, N): what agents that play by a policy each have earned after each number of steps."""
        agents = MixedPolicy([Part("", {}, (i,), policy) for i, policy in enumerate(policies)])
        loop = task.simulation(self.rollouts, agents)
        earned = [np.zeros((self.rollouts, len(policies)))]
        for _ in range(task.game.horizon):
            running = loop.episode == 0
            step = loop.step(agents(loop.seen))
            earned.append(earned[-1] + np.where(running[:, None], step.earned, 0.0))
        return np.array(earned)


def _again(name: str, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Finished:
    """What was kept of a policy under its name."""
    own = f"{name}/"
    mine = {key.removeprefix(own): array for key, array in arrays.items() if key.startswith(own)}
    role = made(about["algorithm"], about["settings"])
    policy = role.kept().restored(Checkpoint(about["policy"], mine))
    return Finished(about["algorithm"], about["settings"], freeze(policy))
