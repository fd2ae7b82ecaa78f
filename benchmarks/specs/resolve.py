"""A spec checked, with every default filled in, and the names that follow from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_jsonable_python

from ...baselines import make_mechanism, mechanism_class
from ...contracts.margins import PaymentMargins
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError, configure, did_you_mean, stored, stored_names, to_json
from ...envs import make
from ...envs.game import Game
from .spec import THETAS, Reference, RunSpec

if TYPE_CHECKING:
    from ...learning.settings import AgentSettings, AnyPrincipalSettings, Resources

MARGINS = stored_names(PaymentMargins)
PROBE = 0.5  # stands for what another run has yet to give, while the parameters around it are checked


class Sources(NamedTuple):
    """The runs of the same seed on which a run rests, resolved."""

    principal: Resolved | None = None  # whose trained principal it takes
    agents: Resolved | None = None  # whose agents go on learning in it
    parameters: Mapping[str, Resolved] = MappingProxyType({})  # that give a parameter

    def all(self) -> list[Resolved]:
        """Every one of them."""
        found = [self.principal, self.agents, *self.parameters.values()]
        return [source for source in found if source is not None]


class Resolved(NamedTuple):
    """A spec checked, with every default filled in: made once, and passed to whoever plans, makes or reads the run."""

    spec: RunSpec
    mechanism: Mechanism  # with `PROBE` for each parameter that a source has yet to give
    agents: AgentSettings  # how the agents learn
    principal: AnyPrincipalSettings | None  # how the run trains its own principal; None where it trains none
    resources: Resources
    sources: Sources
    values: dict[str, Any]  # JSON-ready; whatever changes them changes the run
    name: str  # the mechanism and those of its parameters that differ from their defaults
    variant: str  # hash of the values without the seed: runs that differ in their seed alone share it
    folder: str  # relative: game/mechanism/algorithm/s<seed>-<hash of the values>

    @property
    def game(self) -> Game:
        """The game as it is played."""
        return self.mechanism.played

    @property
    def label(self) -> str:
        """For people: the mechanism and the agents' algorithm."""
        return f"{self.name}/{self.spec.algorithm}"

    def given(self, parameters: Mapping[str, float | None]) -> Mechanism:
        """The mechanism with the parameters that its sources gave."""
        return make_mechanism(self.spec.mechanism, self.mechanism.game, **{**self.spec.parameters, **parameters})


def resolve(spec: RunSpec, known: dict[str, Resolved] | None = None) -> Resolved:
    """Check a spec and fill in its defaults. Raises UsageError for whatever does not exist or is not allowed.

    `known` keeps what was resolved, so that runs which share a source resolve it once.
    """
    known = {} if known is None else known
    key = spec.model_dump_json()
    if key not in known:
        known[key] = _resolved(spec, _sources(spec, known))
    return known[key]


def explicit(resolved: Resolved) -> RunSpec:
    """The run's spec with every default written out, so that it stays the same when defaults change."""
    spec, sources, values = resolved.spec, resolved.sources, resolved.values
    parameters = {**values["parameters"]}
    for name, reference in references(spec).items():
        parameters[name] = reference.model_copy(update={"source": explicit(sources.parameters[name])})
    return spec.model_copy(
        update={
            "rules": values["rules"],
            "parameters": parameters,
            "settings": values["settings"],
            "principal": spec.principal if sources.principal else values["principal"] or {},
            "principal_from": explicit(sources.principal) if sources.principal else None,
            "agents_from": explicit(sources.agents) if sources.agents else None,
            "resources": values["resources"],
        }
    )


def _sources(spec: RunSpec, known: dict[str, Resolved]) -> Sources:
    """What the run rests on. Raises UsageError for a source of another seed."""
    for source in spec.needs():
        if source.seed != spec.seed:
            raise UsageError(f"seed {spec.seed} depends on a run of seed {source.seed}: they must be the same")
    return Sources(
        resolve(spec.principal_from, known) if spec.principal_from else None,
        resolve(spec.agents_from, known) if spec.agents_from else None,
        {name: resolve(reference.source, known) for name, reference in references(spec).items()},
    )


def _resolved(spec: RunSpec, sources: Sources) -> Resolved:
    game = make(spec.game, **spec.rules)
    mechanism = make_mechanism(spec.mechanism, game, **{**spec.parameters, **dict.fromkeys(sources.parameters, PROBE)})
    agents = configure(algorithm_class(spec.algorithm), spec.settings, what=f"algorithm {spec.algorithm}")
    principal, resources = _principal(spec, mechanism), resources_of(spec)
    referred = {name: _referred(reference, sources.parameters[name]) for name, reference in references(spec).items()}
    parameters = {**parameters_of(mechanism), **referred}
    values = {
        "game": spec.game,
        "game_version": type(game).version,
        "rules": to_json(game),
        "mechanism": spec.mechanism,
        "parameters": parameters,
        "algorithm": spec.algorithm,
        "settings": to_json(agents),
        "principal": to_json(principal) if principal else _taken(spec, sources.principal),
        "resources": to_json(resources),
        "steps": spec.steps,
        "episodes": spec.episodes,
        **({"agents_from": _source(sources.agents)} if sources.agents else {}),
    }
    for settings in (agents, principal, getattr(principal, "agents", None)):
        _check_encoder(game, settings)
    variant = digest(values)
    further = _principal_in_name(spec, principal) | ({"agents_from": sources.agents.variant} if sources.agents else {})
    name = _name(mechanism, spec.mechanism, parameters, further)
    run = f"s{spec.seed}-{digest([variant, spec.seed])}"
    folder = f"{spec.game.replace('/', '__')}/{spec.mechanism}/{spec.algorithm}/{run}"
    return Resolved(
        spec, mechanism, agents, principal, resources, sources, {**values, "seed": spec.seed}, name, variant, folder
    )


def references(spec: RunSpec) -> dict[str, Reference]:
    """The parameters that other runs give."""
    return {name: value for name, value in spec.parameters.items() if isinstance(value, Reference)}


def algorithm_class(algorithm: str) -> type[AgentSettings]:
    """The settings' class of an algorithm."""
    from ...learning import ALGORITHMS

    if algorithm not in ALGORITHMS:
        raise UsageError(did_you_mean("algorithm", algorithm, ALGORITHMS))
    return ALGORITHMS[algorithm]


def principal_class(mechanism: str) -> type[AnyPrincipalSettings] | None:
    """The settings' class of the principal that a mechanism needs trained; None where it needs none."""
    from ...learning import PRINCIPALS

    principal = mechanism_class(mechanism).principal
    return PRINCIPALS[principal] if principal else None


def resources_of(spec: RunSpec) -> Resources:
    """What the run may use beside its own process."""
    from ...learning import Resources

    return configure(Resources, spec.resources, what="the resources")


def _check_encoder(game: Game, settings: object) -> None:
    """Raise UsageError for a convolution over what is no grid."""
    shape = game.observation_space.shape
    if getattr(settings, "encoder", "") == "conv" and (len(shape) != (2 if game.classes else 3) or min(shape) < 2):
        raise UsageError(
            f"encoder: got 'conv', which reads a grid, and an observation of {type(game).__name__} has the shape "
            f"{tuple(shape)}; ask for encoder 'mlp'"
        )


def digest(values: object) -> str:
    """Eight hexadecimal digits that any change of the values changes."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def parameters_of(mechanism: Mechanism) -> dict[str, object]:
    """A mechanism's parameters, JSON-ready, defaults included."""
    names = [field.name for field in fields(mechanism) if field.name != "game"]
    return {name: to_jsonable_python(getattr(mechanism, name)) for name in names}


def _source(source: Resolved) -> dict[str, str]:
    """How a source stands among the resolved values of a run: without a seed, which is the run's own."""
    return {"from": source.label, "variant": source.variant}


def _referred(reference: Reference, source: Resolved) -> dict[str, str]:
    """How a parameter that a source gives stands among the resolved values. Raises UsageError where it gives none."""
    if reference.column in THETAS and source.spec.mechanism != "drawn-contract":
        raise UsageError(
            f"{reference.column} is what agents sign who learned under drawn contracts: take it from a run of "
            f"drawn-contract (got {source.spec.mechanism})"
        )
    return {**_source(source), "from": f"{source.label}.{reference.column}"}


def _principal(spec: RunSpec, mechanism: Mechanism) -> AnyPrincipalSettings | None:
    """How the run trains its own principal; None where it trains none.

    Raises UsageError for settings without a principal, and for a game on which there can be none.
    """
    cls = principal_class(spec.mechanism)
    if cls is None:
        if spec.principal or spec.principal_from:
            raise UsageError(f"mechanism {spec.mechanism} has no principal to train: leave out its settings")
        return None
    if spec.principal_from is not None:
        return None
    mechanism.check_principal()
    return configure(cls, spec.principal, what="the principal")


def _taken(spec: RunSpec, source: Resolved | None) -> dict[str, object] | None:
    """How a principal that another run trained stands among the resolved values; None where there is none."""
    if source is None:
        return None
    if source.principal is None:
        raise UsageError(f"{source.label} trains no principal that could be taken from it")
    return {**_source(source), **_promise(spec)}


def _promise(spec: RunSpec) -> dict[str, object]:
    """How a principal taken from another run promises where that differs: the settings that no training depends on."""
    from ...learning import PRINCIPALS

    allowed = tuple(MARGINS.values()) if principal_class(spec.mechanism) is PRINCIPALS["dqn"] else ()
    given = stored(PaymentMargins, spec.principal)
    refused = sorted(set(given) - set(allowed))
    if refused:
        raise UsageError(
            f"a principal taken from another run is not trained again: got {', '.join(refused)}, allowed "
            f"{'is ' + ', '.join(allowed) if allowed else 'is no setting'}"
        )
    checked = to_json(configure(PaymentMargins, spec.principal, what="the principal"))
    return {name: checked[name] for name in sorted(given)}


def _name(mechanism: Mechanism, id: str, parameters: Mapping[str, object], further: Mapping[str, object]) -> str:
    fields = type(mechanism).__pydantic_fields__  # type: ignore[attr-defined]
    changed = {
        name: value["from"] if isinstance(value, dict) and "from" in value else value
        for name, value in parameters.items()
        if fields[name].is_required()
        or value != to_jsonable_python(fields[name].get_default(call_default_factory=True))
    }
    return " ".join([id, *(f"{name}={value}" for name, value in {**changed, **further}.items())])


def _principal_in_name(spec: RunSpec, settings: AnyPrincipalSettings | None) -> dict[str, object]:
    """What a run's name says of its principal.

    How it was solved for, or promises otherwise than it was trained, or the price of money at which it was trained.
    """
    cls = principal_class(spec.mechanism)
    if cls and (spec.principal_from is not None or mechanism_class(spec.mechanism).principal == "exact"):
        return stored(cls, spec.principal)
    alpha = getattr(settings, "alpha", None)
    return {} if settings is None or alpha == getattr(type(settings)(), "alpha", None) else {"alpha": alpha}
