"""The phases of a run: a principal learns, fresh agents learn under it, and their policy is evaluated."""

from __future__ import annotations

import json
import random
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import numpy as np
import torch

from ..contracts.episodes import Episodes
from ..contracts.loop import Act, Minds, Principal, Simulation
from ..contracts.mechanism import Mechanism
from ..core.checkpoint import Checkpoint, Saved
from ..core.config import UsageError
from ..envs.game import Game
from .agents.best_response import TablePolicy
from .agents.follow import FollowPolicy
from .agents.policy import Policy
from .freezing import freeze
from .role import ALONE, EVALUATE, TRAIN, VALIDATE, Finished, Role, Task, Update
from .settings import Resources
from .trained import Trained

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

T = TypeVar("T", covariant=True)


class Learning(Iterator[Update], Generic[T]):
    """A role that learns: iterate over it to its end, then take its `result()`. Use it in a `with` statement.

    Before it begins, the generators of torch, numpy and Python are seeded by the task. Its result is frozen: what it
    saves and reads again, with networks that have no gradients.
    """

    def __init__(self, role: Role, task: Task) -> None:
        self.total, self._role = task.steps, role
        updates = role.learn(task)
        if not isinstance(updates, Generator):
            raise UsageError(
                f"{type(role).__name__}.learn gave a {type(updates).__name__}: it must `yield` its updates (or `yield "
                "from ()`, where there are none) and then return what was learned"
            )
        self._updates = _seeded(updates, task)
        self._learned: list[T] = []  # once it is there
        self._ended = False

    def __iter__(self) -> Iterator[Update]:
        return self

    def __next__(self) -> Update:
        try:
            return next(self._updates)
        except StopIteration as end:
            if not self._ended:
                self._ended = True
                self._learned.append(cast(T, frozen(end.value, self._role)))
            raise
        except BaseException:
            self._ended = True
            raise

    def result(self) -> T:
        """What has been learned, once the role has spent its budget. Raises RuntimeError where it was not finished."""
        for _ in self:
            pass
        if not self._learned:
            raise RuntimeError(f"{type(self._role).__name__} was not finished: nothing has been learned")
        return self._learned[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._updates.close()
        self._ended = True


def train_agents(
    game: Game,
    mechanism: Mechanism,
    principal: Principal | None,
    settings: Role,
    *,
    seed: int,
    steps: int,
    resources: Resources = ALONE,
    begin: Saved | None = None,
    policies: Mapping[str, Finished] | None = None,
) -> Learning[Any]:
    """Agents learn for `steps` environment steps under a mechanism; the result is their policy.

    The agents are fresh, or start from the networks of the policy `begin`; optimisers, replay and schedules are fresh
    either way. Agents that learn nothing take no steps; they may play by `policies` of finished runs. Raises UsageError
    where the agents cannot play under the mechanism; so does learning where `begin` has other networks than theirs.
    """
    settings.check(mechanism)
    if begin is not None and not settings.continues:
        raise UsageError(f"{type(settings).__name__} cannot go on from a policy: leave `begin` out")
    task = Task(game, mechanism, VALIDATE, seed, steps, principal, resources, begin, policies=policies or {})
    return Learning(settings, task)


def train_principal(
    game: Game, settings: Any, *, seed: int, resources: Resources = ALONE, mechanism: Mechanism | None = None
) -> Learning[Any]:
    """A principal learns under `mechanism`, whose terms it will offer; the result decides for `(game, state)`.

    Those of Ivanov et al. 2024 need none: they bring one of their own. The budget is the role's own setting `steps`.
    Raises UsageError where the role cannot decide for the mechanism.
    """
    mechanism = mechanism or Mechanism(game=game)
    settings.check(mechanism)
    return Learning(settings, Task(game, mechanism, TRAIN, seed, getattr(settings, "steps", 0), None, resources))


def evaluate(
    game: Game, mechanism: Mechanism, principal: Principal | None, policy: Act, *, seed: int, episodes: int = 1024
) -> Episodes:
    """The policy plays `episodes` episodes on keys that training never uses."""
    loop = Simulation(
        game, mechanism, episodes, seed=seed, stream=EVALUATE.stream, principal=principal, minds=Minds.of(policy)
    )
    finished: Episodes | None = None
    while not (loop.episode > 0).all():
        step = loop.step(policy(loop.seen))
        if step.episodes is not None:  # an environment counts with its first episode only: long ones weigh the same
            first = step.episodes.select(loop.episode[step.ended] == 1)
            finished = first if finished is None else finished + first
    assert finished is not None
    return finished


def agents_config(
    game: Game,
    mechanism: Mechanism,
    principal: Principal | None,
    settings: Trained,
    *,
    seed: int,
    steps: int,
    resources: Resources = ALONE,
) -> AlgorithmConfig:
    """The RLlib configuration with which `train_agents` trains; Tune takes it as its parameter space.

    Schedules run over `steps`. Raises UsageError for more remote actors than Ray has cores.
    """
    from .rllib.training import configuration_of

    if not isinstance(settings, Trained):
        raise UsageError(f"{type(settings).__name__} is not trained by RLlib: it has no configuration for Tune")
    task = Task(game, mechanism, VALIDATE, seed, steps, principal, resources)
    return configuration_of(settings, settings.prepared(task))


def load_policy(prefix: Path) -> Policy | FollowPolicy | TablePolicy:
    """A policy of Paymaster's own algorithms that was saved at `prefix`. Raises UsageError where there is none."""
    kinds: dict[str, Any] = {"follow": FollowPolicy, "table": TablePolicy}
    return kinds.get(Checkpoint.read(prefix).about.get("kind", ""), Policy).load(prefix)


def frozen(learned: Saved, role: Role) -> Saved:
    """What is read again of what has been learned, without gradients. Raises UsageError where it cannot be kept."""
    try:
        about, arrays = learned.checkpoint()
        again = role.kept().restored(
            Checkpoint(json.loads(json.dumps(dict(about))), {name: np.array(array) for name, array in arrays.items()})
        )
        freeze(again)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"what {type(role).__name__} learned cannot be saved and read again ({type(error).__name__}: {error}): "
            "give it `checkpoint` and `restored`, as paymaster.learning.Saved has them"
        ) from error
    return again


def _seeded(updates: Generator[Update, None, T], task: Task) -> Generator[Update, None, T]:
    """`updates`, which begin with all generators seeded, so that a role that draws from them repeats itself."""
    seed = int(task.draws().integers(2**31, 1)[0])
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (for roles from outside that draw from it; ours never do)
    random.seed(seed)
    return (yield from updates)
