"""`mixed`: each agent learns by an algorithm of its own, or plays a policy that is given, such as following."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from copy import copy
from dataclasses import fields, replace
from functools import cached_property, partial
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from ...contracts.loop import AgentView, Minds, own_view
from ...contracts.mechanism import Mechanism
from ...core.checkpoint import Checkpoint, Saved
from ...core.config import UsageError, configuration, configure, did_you_mean, to_json
from ...envs.game import Game
from ..external import EXTERNAL
from ..freezing import freeze
from ..replay import ReplayedRole
from ..role import Role, Task, Update
from ..settings import Optimiser
from ..trained import Tensors, Trained

MIXED, FOLLOW = "mixed", "follow"

Values = dict[str, Any]


class Part(NamedTuple):
    """The agents of one algorithm."""

    algorithm: str
    settings: Values  # all of them, JSON-ready
    players: tuple[int, ...]
    policy: Any  # `policy(seen)` gives actions (B, N), of which those of its players count


class MixedPolicy(Saved):
    """Every agent plays by the policy of its algorithm, and remembers what that remembers.

    It has `values` and `probabilities` if all of these have.
    """

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        minds = Minds.remembering([part.policy for part in parts])
        self.start, self.remember = minds.start, minds.remember
        for what in ("values", "probabilities"):
            if all(hasattr(part.policy, what) for part in parts):
                setattr(self, what, partial(self._joined, what))

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agents' actions (B, N)."""
        return self._joined("__call__", seen)

    def _joined(self, what: str, seen: AgentView) -> np.ndarray:
        """(B, N, ...): each agent's column of what the policy of its algorithm says."""
        columns: dict[int, np.ndarray] = {}
        for place, part in enumerate(self.parts):
            said = getattr(part.policy, what)(own_view(seen, place))
            columns |= {player: said[:, player] for player in part.players}
        return np.stack([columns[player] for player in sorted(columns)], axis=1)

    def checkpoint(self) -> Checkpoint:
        parts, arrays = [], dict[str, np.ndarray]()
        for part in self.parts:
            kept = part.policy.checkpoint()
            parts.append({**part._asdict(), "policy": dict(kept.about)})
            arrays |= {f"{part.algorithm}/{name}": array for name, array in kept.arrays.items()}
        return Checkpoint({"kind": MIXED, "parts": parts}, arrays)

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        parts = []
        for about in checkpoint.about["parts"]:
            id, settings = about["algorithm"], about["settings"]
            own = f"{id}/"
            arrays = {name.removeprefix(own): a for name, a in checkpoint.arrays.items() if name.startswith(own)}
            policy = made(id, settings).kept().restored(Checkpoint(about["policy"], arrays))
            parts.append(Part(id, settings, tuple(about["players"]), freeze(policy)))
        return cls(parts)


@configuration
class Mixed(Trained):
    """A mixture of learners: `agents` names the algorithm of each agent.

    The agents of one algorithm share a network, or have one each, as its setting `policies` says. Those whose algorithm
    learns nothing, such as `follow`, play by its policy while the others learn. The learners sample together, in the
    fewest `environments` of any of them, by its shortest rollout; who learns from longer or wider ones gathers several.
    The discount and the learning rates hold for every learner; `settings` may give one its own rates.
    """

    agents: tuple[str, ...] = ()
    """An algorithm for each agent, such as [dqn, follow]."""
    settings: dict[str, Values] = Field({})
    """Settings that differ from an algorithm's defaults, by algorithm, such as {dqn: {n_step: 2}}."""

    plays: ClassVar[str] = "agents"

    @field_validator("agents")
    @classmethod
    def _known(cls, agents: tuple[str, ...]) -> tuple[str, ...]:
        for id in agents:
            _class(id)
        return agents

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """All settings of every algorithm, defaults included, so that a run's digest tells when a default changes."""
        given, unused = self.settings, sorted(self.settings.keys() - set(self.agents))
        if unused:
            told = ", ".join(self.agents) or "none"
            raise UsageError(f"settings: no agent is of {', '.join(unused)}; agents are {told}")
        common = {field.name: getattr(self, field.name) for field in fields(Optimiser)}
        complete = {
            id: to_json(made(id, {**(common if issubclass(_class(id), Trained) else {}), **given.get(id, {})}))
            for id in dict.fromkeys(self.agents)
        }
        object.__setattr__(self, "settings", complete)
        return self

    @cached_property
    def parts(self) -> dict[str, Role]:
        """The role of each algorithm, in the order in which agents name them."""
        found = {id: made(id, settings) for id, settings in self.settings.items()}
        return {
            id: replace(role, rollout_length=_shortest(found)[1]) if isinstance(role, ReplayedRole) else role
            for id, role in found.items()
        }

    @property
    def plays_by(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for role in self.parts.values() for name in role.plays_by))

    def players(self, id: str) -> tuple[int, ...]:
        """The agents of an algorithm."""
        return tuple(index for index, name in enumerate(self.agents) if name == id)

    @property
    def exploiters(self) -> tuple[int, ...]:
        """The agents that do not follow, where others do."""
        return tuple(index for index, id in enumerate(self.agents) if id != FOLLOW) if FOLLOW in self.agents else ()

    @property
    def rollout_shape(self) -> tuple[int, int]:
        return _shortest(self.parts)

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError unless there is an algorithm for each agent, which can play and learn beside the others."""
        N = len(mechanism.game.agents)
        if len(self.agents) != N:
            raise UsageError(
                f"agents: got {len(self.agents)} algorithms ({', '.join(self.agents) or 'none'}), and "
                f"{type(mechanism.game).__name__} has {N} agents; name {N}, such as [{', '.join(['dqn'] * N)}]"
            )
        for id, role in self.parts.items():
            if role.learns and not isinstance(role, Trained):
                raise UsageError(f"agents: {id} learns by a loop of its own, so it cannot learn beside others")
            role.check(mechanism)
            if isinstance(role, Trained) and role.discount != self.discount:
                raise UsageError(
                    f"settings: {id} has the discount {role.discount:g}, and the learners of a mixture have the same, "
                    f"at which it is audited (got {self.discount:g}); set the mixture's own"
                )

    def prepared(self, task: Task) -> Task:
        """The task with the policies of those that do not learn."""
        still = {self.players(id): _given(role, task) for id, role in self.parts.items() if not role.learns}
        return replace(task, beside=still)

    def roles(self) -> tuple[Trained, ...]:
        """The learners, each of which plays its own agents."""
        return tuple(
            _playing(role, id, self.players(id)) for id, role in self.parts.items() if isinstance(role, Trained)
        )

    def modules(self, game: Game) -> dict[str, tuple[int, ...]]:
        return {name: players for role in self.roles() for name, players in role.modules(game).items()}

    def learn(self, task: Task) -> Generator[Update, None, Saved]:
        if self.roles():
            return (yield from super().learn(task))
        return self.frozen({}, self.prepared(task))

    def frozen(self, weights: Mapping[str, Tensors], task: Task) -> MixedPolicy:
        roles = iter(self.roles())
        parts = []
        for id in self.parts:
            players = self.players(id)
            policy: Any = task.beside.get(players)
            if policy is None:
                role = next(roles)
                policy = role.frozen({name: weights[name] for name in role.modules(task.game)}, task)
            parts.append(Part(id, self.settings[id], players, policy))
        return MixedPolicy(parts)

    def kept(self) -> type[MixedPolicy]:
        return MixedPolicy


def made(id: str, settings: Values) -> Role:
    """The role of an algorithm. Raises UsageError for an unknown one, and for settings that it has not."""
    from .. import algorithm_class

    return configure(algorithm_class(id), settings, what=f"algorithm {id}")


def _class(id: str) -> type[Role]:
    from .. import algorithm_class, algorithms

    if id in (MIXED, EXTERNAL):
        raise UsageError(did_you_mean("algorithm of a mixture", id, {*algorithms()} - {MIXED}))
    return algorithm_class(id)


def _shortest(roles: Mapping[str, Role]) -> tuple[int, int]:
    """The fewest environments of any learner, and the steps of the shortest rollout."""
    shapes = [role.rollout_shape for role in roles.values() if isinstance(role, Trained)]
    environments, lengths = zip(*shapes, strict=True)
    return min(environments), min(lengths)


def _given(role: Role, task: Task) -> Any:
    """The policy of a role that learns nothing."""
    learning = role.learn(task)
    while True:
        try:
            next(learning)
        except StopIteration as end:
            return end.value


def _playing(role: Trained, id: str, players: tuple[int, ...]) -> Trained:
    """The role, which plays these agents alone, by modules that no other algorithm has."""
    other = copy(role)
    object.__setattr__(other, "modules", partial(_modules, role, id, players))  # its own methods ask it for them too
    return other


def _modules(role: Trained, id: str, players: tuple[int, ...], game: Game) -> dict[str, tuple[int, ...]]:
    own = {name: tuple(each for each in all if each in players) for name, all in role.modules(game).items()}
    return {f"{id}-{name}": each for name, each in own.items() if each}
