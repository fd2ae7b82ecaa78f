"""Learning: the roles and their registry, losses, RLlib's engine over arrays, and what is kept of what was learned.

To add what learns, write one file with a `Role` whose fields are its settings, and add one line to `OWN`; a role that
one mechanism alone needs stands in the mechanism's file, which names its class. A role of your own is written with the
names that are here, at paths that stay; `docs/guides` shows some. What loads torch or RLlib is imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from ..contracts.loop import AgentView, Loop, Simulation, Step
from ..contracts.mechanism import Mechanism
from ..core.checkpoint import Checkpoint, Saved
from ..core.config import UsageError, configuration, did_you_mean, made_by_configuration, require
from ..core.registry import OUTSIDE, Registry
from .external import EXTERNAL
from .features import rows, width
from .returns import advantages, n_step
from .role import Phase, Role, Task, Update
from .settings import Resources

if TYPE_CHECKING:
    from .agents.dqn import DQN
    from .agents.networked import NetworkedAgents
    from .agents.ppo import PPO, ActorCriticAgents
    from .exploration import epsilon_greedy, sampled
    from .networks import arrays_of, give_arrays
    from .phases import agents_config, evaluate, load_policy, train_agents, train_principal
    from .replay import ReplayedRole
    from .saved_network import SavedNetwork
    from .trained import Batch, Col, Context, Losses, Memory, Peer, Rollout, Trained

    DQNSettings, PPOSettings = DQN, PPO

T = TypeVar("T")

OWN: dict[str, str] = {
    # id: module:class, relative to this package
    "dqn": ".agents.dqn:DQN",
    "vdn": ".agents.vdn:VDN",
    "ppo": ".agents.ppo:PPO",
    "a2c": ".agents.a2c:A2C",
    "advantage-alignment": ".agents.advantage_alignment:AdvantageAlignment",
    "lola": ".agents.lola:LOLA",
    "pola": ".agents.pola:POLA",
    "follow": ".agents.follow:Follow",
    "scripted": ".agents.scripted:Scripted",
    "ccc": ".agents.ccc:ConditionalCooperation",
    "beside": ".agents.beside:Beside",
    "mixed": ".agents.mixed:Mixed",
    "external": ".external:External",
    "best-response": ".agents.best_response:BestResponse",
    "principal-dqn": ".principals.algorithm_3:Algorithm3",
    "outcome-dqn": ".principals.algorithm_2:Algorithm2",
    "principal-ppo": ".principals.rates_ppo:RatesPPO",
    "principal-exact": ".principals.exact:ExactSolution",
}

LATER = {  # module: its names, relative to this package
    ".agents.dqn": ("DQN",), ".agents.networked": ("NetworkedAgents",),
    ".agents.ppo": ("PPO", "ActorCriticAgents"), ".exploration": ("epsilon_greedy", "sampled"),
    ".networks": ("arrays_of", "give_arrays"), ".saved_network": ("SavedNetwork",), ".replay": ("ReplayedRole",),
    ".phases": ("agents_config", "evaluate", "load_policy", "train_agents", "train_principal"),
    ".trained": ("Batch", "Col", "Context", "Losses", "Memory", "Peer", "Rollout", "Trained"),
}  # fmt: skip
FORMER = {"DQNSettings": "DQN", "PPOSettings": "PPO"}

__all__ = [
    "DQN", "PPO", "ROLES", "ActorCriticAgents", "AgentView", "Batch", "Checkpoint", "Col", "Context",
    "DQNSettings", "Loop", "Losses", "Memory", "NetworkedAgents", "PPOSettings", "Peer", "Phase", "ReplayedRole",
    "Resources", "Role", "Rollout", "Saved", "SavedNetwork", "Simulation", "Step", "Task", "Trained", "Update",
    "UsageError", "advantages", "agents_config", "algorithm_class", "algorithms", "arrays_of", "configuration",
    "epsilon_greedy", "evaluate", "give_arrays", "load_policy", "n_step", "principal_class", "register_role", "rows",
    "sampled", "train_agents", "train_principal", "width",
]  # fmt: skip


def _fault(cls: Any) -> str:
    """What is wrong with `cls` as a role; empty if nothing is."""
    if not (isinstance(cls, type) and issubclass(cls, Role)):
        return "is no subclass of Role"
    if cls.plays not in ("agents", "principal"):
        return f"plays {cls.plays!r}: a role plays the 'agents' or the 'principal'"
    if not made_by_configuration(cls):
        return "has no settings that are checked: put @configuration above it"
    given = {"learn": cls.learn is not Role.learn, "kept": cls.kept is not Role.kept or bool(cls.keeps)}
    missing = [name for name, there in given.items() if not there]
    if missing:
        return f"does not define {' and '.join(missing)}: a role says how it learns and what it keeps"
    if cls.plays == "principal" and cls.learns and "steps" not in cls.__pydantic_fields__:  # type: ignore[attr-defined]
        return "has no setting `steps`: the budget, in environment steps, in which it learns"
    return ""


ROLES: Registry[Role] = Registry("role", "paymaster.roles", __package__, OWN, _fault)


def algorithms() -> list[str]:
    """The ids of the roles that play the agents, and are trained or computed here."""
    return [id for id in ROLES if ROLES[id].plays == "agents" and id != EXTERNAL]


def algorithm_class(id: str) -> type[Role]:
    """The role that plays the agents by the algorithm `id`. Raises UsageError for an unknown one."""
    if id not in ROLES or ROLES[id].plays != "agents":
        raise UsageError(f"{did_you_mean('algorithm', id, algorithms())} {OUTSIDE}")
    return ROLES[id]


def principal_class(mechanism: type[Mechanism]) -> type[Role] | None:
    """The role that decides for a mechanism; None where nobody does. Raises UsageError where there is no such role."""
    named = mechanism.principal
    if isinstance(named, type):
        fault = _fault(named) or ("plays the agents" if getattr(named, "plays", "") == "agents" else "")
        if fault:
            raise UsageError(f"the principal of {mechanism.__name__}: {named.__name__} {fault}")
    if isinstance(named, type) or not named:
        return named or None
    if named not in ROLES or ROLES[named].plays != "principal":
        known = [id for id in ROLES if ROLES[id].plays == "principal"]
        raise UsageError(f"{mechanism.__name__} asks for an {did_you_mean('principal', named, known)} {OUTSIDE}")
    return ROLES[named]


def register_role(id: str) -> Callable[[type[T]], type[T]]:
    """A decorator that registers your own role under `id`: write it above `@configuration`, above the class.

    A role that plays the agents is then an algorithm (`--algorithm id`); any mechanism can name one that plays the
    principal (`principal = id`). Raises UsageError for an id that is taken, or a class that is not a Role.
    """

    def register(cls: type[T]) -> type[T]:
        ROLES.add(id, cls)
        return cls

    return register


def __getattr__(name: str) -> object:
    module = next((module for module, names in LATER.items() if FORMER.get(name, name) in names), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if module == ".phases":
        require("torch", "ray", what=f"paymaster.learning.{name}")
    return getattr(import_module(module, __name__), FORMER.get(name, name))
