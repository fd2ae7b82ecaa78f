"""Specs are resolved here: checked, completed with every default, and named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic_core import to_jsonable_python

from ...baselines import make_mechanism, mechanism_class
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError, configure, stored, stored_names, to_json
from ...envs import make
from ...envs.game import Game
from ...learning import Resources, Role, algorithm_class, principal_class
from ...learning.external import EXTERNAL, ExternalPrincipal
from .run_names import digest, learner_name, run_folder, run_name
from .spec import THETAS, Reference, RunSpec

NAMING = ("alpha", "joint_values", "contingent")  # settings of a trained principal that a run's name states
PROBE = 0.5  # stands for a value that another run will give, while the other parameters are checked


class Sources(NamedTuple):
    """The resolved runs of the same seed on which a run depends."""

    principal: Resolved | None = None  # the run whose trained principal it takes
    agents: Resolved | None = None  # the run whose agents it trains further
    policies: Mapping[str, Resolved] = MappingProxyType({})  # the runs by whose policies it plays, by name
    parameters: Mapping[str, Resolved] = MappingProxyType({})  # the runs that give a parameter, by its name

    def all(self) -> list[Resolved]:
        """All sources, in one list."""
        found = [self.principal, self.agents, *self.policies.values(), *self.parameters.values()]
        return [source for source in found if source is not None]


class Resolved(NamedTuple):
    """A checked spec with every default filled in: made once, and passed to whatever plans, makes or reads the run."""

    spec: RunSpec
    mechanism: Mechanism  # with `PROBE` for each parameter that a source will give
    agents: Role  # the agents' algorithm, with its settings
    principal: Role | None  # the principal that the run trains, with its settings; None for none
    resources: Resources
    sources: Sources
    values: dict[str, Any]  # JSON-ready; a change of any value makes another run
    name: str  # the mechanism, with the parameters that differ from their defaults
    variant: str  # hash of the values without the seed; runs that differ only in the seed share it
    folder: str  # relative: game/mechanism/algorithm/s<seed>-<hash of the values>

    @property
    def game(self) -> Game:
        """The game that is played."""
        return self.mechanism.played

    @property
    def label(self) -> str:
        """The mechanism and the agents' algorithm, as text."""
        return f"{self.name}/{learner_name(self.values)}"

    def given(self, parameters: Mapping[str, float | None]) -> Mechanism:
        """The mechanism with the parameters that its sources gave."""
        return make_mechanism(self.spec.mechanism, self.mechanism.game, **{**self.spec.parameters, **parameters})


def resolve(spec: RunSpec, known: dict[str, Resolved] | None = None) -> Resolved:
    """Check a spec and fill in its defaults. Raises UsageError for a name or a value that is not allowed.

    `known` caches resolved specs, so that runs with a common source resolve it once.
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
            "policies_from": {name: explicit(source) for name, source in sources.policies.items()},
            "resources": values["resources"],
        }
    )


def _sources(spec: RunSpec, known: dict[str, Resolved]) -> Sources:
    """The sources of a run. Raises UsageError for a source of another seed."""
    for source in spec.needs():
        if source.seed != spec.seed:
            raise UsageError(f"seed {spec.seed} depends on a run of seed {source.seed}: they must be the same")
    return Sources(
        principal=resolve(spec.principal_from, known) if spec.principal_from else None,
        agents=resolve(spec.agents_from, known) if spec.agents_from else None,
        policies={name: resolve(source, known) for name, source in sorted(spec.policies_from.items())},
        parameters={name: resolve(reference.source, known) for name, reference in references(spec).items()},
    )


def _resolved(spec: RunSpec, sources: Sources) -> Resolved:
    game = make(spec.game, **spec.rules)
    mechanism = make_mechanism(spec.mechanism, game, **{**spec.parameters, **dict.fromkeys(sources.parameters, PROBE)})
    agents = configure(algorithm_class(spec.algorithm), spec.settings, what=f"algorithm {spec.algorithm}")
    agents.check(mechanism)
    if sources.agents and not agents.continues:
        raise UsageError(f"agents of algorithm {spec.algorithm} cannot go on from those of another run: leave it out")
    _check_policies(spec, mechanism, agents, sources.policies)
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
        **(
            {"policies_from": {name: _source(each) for name, each in sources.policies.items()}}
            if sources.policies
            else {}
        ),
    }
    parts = getattr(agents, "parts", {}).values()  # of a mixture
    for settings in (agents, *parts, principal, getattr(principal, "agents", None)):
        _check_encoder(game, settings)
    variant = digest(values)
    further = _principal_in_name(spec, principal) | _agents_in_name(spec, sources.agents)
    name = run_name(mechanism, spec.mechanism, parameters, further)
    folder = run_folder(spec, variant)
    return Resolved(
        spec=spec, mechanism=mechanism, agents=agents, principal=principal, resources=resources, sources=sources,
        values={**values, "seed": spec.seed}, name=name, variant=variant, folder=folder,
    )  # fmt: skip


def references(spec: RunSpec) -> dict[str, Reference]:
    """The parameters whose values other runs give."""
    return {name: value for name, value in spec.parameters.items() if isinstance(value, Reference)}


def resources_of(spec: RunSpec) -> Resources:
    """The remote runners, learners and GPUs that a run uses."""
    return configure(Resources, spec.resources, what="the resources")


def _check_policies(spec: RunSpec, mechanism: Mechanism, agents: Role, sources: Mapping[str, Resolved]) -> None:
    """Raise UsageError unless there is a run for each policy by which agents play, whose agents can play here."""
    if sorted(sources) != sorted(agents.plays_by):
        told = ", ".join(agents.plays_by) or "none"
        raise UsageError(
            f"policies_from: agents of {spec.algorithm} play by policies of finished runs: {told} "
            f"(got {', '.join(sources) or 'none'}); an entry of a suite names them, as "
            "`policies_from: {cooperative: joint/dqn, selfish: selfish/dqn}`"
        )
    for name, source in sources.items():
        if why := why_apart(source, mechanism):
            raise UsageError(f"policies_from: agents of {source.label}, for {name}, cannot play here: {why}")


def why_apart(run: Resolved, mechanism: Mechanism) -> str:
    """Why agents of a run cannot play a mechanism's game, as the end of a sentence; empty where they can."""
    if type(run.game) is not type(mechanism.played) or to_json(run.mechanism.game) != to_json(mechanism.game):
        return "it is another game, or has other rules"
    if run.mechanism.terms_size != mechanism.terms_size:
        return (
            f"they were shown {run.mechanism.terms_size} numbers as their terms, and here there are "
            f"{mechanism.terms_size}"
        )
    return ""


def _check_encoder(game: Game, settings: object) -> None:
    """Raise UsageError for a convolution over an observation that is no grid."""
    shape = game.observation_space.shape
    encoder = getattr(settings, "encoder", "mlp")
    if encoder != "mlp" and (len(shape) != (2 if game.classes else 3) or min(shape) < 2):
        raise UsageError(
            f"encoder: got {encoder!r}, which reads a grid, and an observation of {type(game).__name__} has the shape "
            f"{tuple(shape)}; ask for encoder 'mlp'"
        )


def parameters_of(mechanism: Mechanism) -> dict[str, object]:
    """The parameters of a mechanism as JSON-ready values, defaults included."""
    names = [field.name for field in fields(mechanism) if field.name != "game"]
    return {name: to_jsonable_python(getattr(mechanism, name)) for name in names}


def _source(source: Resolved) -> dict[str, str]:
    """A source as a resolved value of a run. It has no seed, since the run has the same one."""
    return {"from": source.label, "variant": source.variant}


def _referred(reference: Reference, source: Resolved) -> dict[str, str]:
    """A parameter that a source gives, as a resolved value. Raises UsageError where the source cannot give it."""
    if reference.column in THETAS and source.spec.mechanism != "drawn-contract":
        raise UsageError(
            f"{reference.column} is the contract that agents sign after they learned under drawn contracts: take it "
            f"from a run of drawn-contract (got {source.spec.mechanism})"
        )
    if reference.column == "paid_welfare" and source.spec.mechanism != "funded-share":
        raise UsageError(
            f"paid_welfare is the welfare on which a share was paid: take it from a run of funded-share (got "
            f"{source.spec.mechanism})"
        )
    return {**_source(source), "from": f"{source.label}.{reference.column}"}


def _principal(spec: RunSpec, mechanism: Mechanism) -> Role | None:
    """The settings with which the run trains its own principal; None where it trains none.

    Raises UsageError for settings without a principal, and for a game in which there can be none.
    """
    cls = principal_class(mechanism_class(spec.mechanism))
    if cls is None:
        if spec.principal or spec.principal_from:
            raise UsageError(f"mechanism {spec.mechanism} has no principal to train: leave out its settings")
        return None
    if spec.principal_from is not None:
        return None
    mechanism.check_principal()
    if EXTERNAL in spec.principal:
        cls = ExternalPrincipal
    role = configure(cls, spec.principal, what="the principal")
    role.check(mechanism)
    return role


def _taken(spec: RunSpec, source: Resolved | None) -> dict[str, object] | None:
    """A principal that another run trained, as a resolved value; None where the run takes none."""
    if source is None:
        return None
    if source.principal is None:
        raise UsageError(f"{source.label} trains no principal that could be taken from it")
    return {**_source(source), **_promise(spec)}


def _promise(spec: RunSpec) -> dict[str, object]:
    """The margins that change the payments of a principal taken from another run. No training depends on them."""
    role = principal_class(mechanism_class(spec.mechanism))
    margins = role.margins if role else None
    allowed = tuple(stored_names(margins).values()) if margins else ()
    given = stored(margins, spec.principal) if margins else spec.principal
    refused = sorted(set(given) - set(allowed))
    if refused:
        raise UsageError(
            f"a principal taken from another run is not trained again: got {', '.join(refused)}, allowed "
            f"{'is ' + ', '.join(allowed) if allowed else 'is no setting'}"
        )
    if margins is None:
        return {}
    checked: object = configure(margins, spec.principal, what="the principal")
    return {name: getattr(checked, field) for field, name in stored_names(margins).items() if name in given}


def _principal_in_name(spec: RunSpec, settings: Role | None) -> dict[str, object]:
    """The settings of the principal that belong into the run's name.

    They are all settings that are given, where the principal is exact or taken from another run; else those of `NAMING`
    that differ from their defaults.
    """
    if isinstance(settings, ExternalPrincipal):
        return to_json(settings)
    cls = principal_class(mechanism_class(spec.mechanism))
    if cls and (spec.principal_from is not None or not cls.learns):
        return stored(cls, spec.principal)
    known = getattr(type(settings), "__pydantic_fields__", {})
    given = {name: getattr(settings, name) for name in NAMING if name in known}
    return {name: value for name, value in given.items() if value != known[name].default}


def _agents_in_name(spec: RunSpec, source: Resolved | None) -> dict[str, object]:
    """The run whose agents go on, for the run's name; nothing for fresh agents.

    It is told by its mechanism and learner, or by its variant where the mechanism is the same. (What learns further
    from this run hashes its name.)
    """
    if source is None:
        return {}
    same = source.spec.mechanism == spec.mechanism
    return {"agents_from": source.variant if same else f"{source.spec.mechanism}/{learner_name(source.values)}"}
