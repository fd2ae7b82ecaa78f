"""A spec checked, with every default filled in, and the names that follow from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_jsonable_python

from ...baselines import make_mechanism, mechanism_class
from ...contracts.margins import Promise
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError, configure, nearest, plain
from ...envs import make
from ...envs.game import Game

if TYPE_CHECKING:
    pass
from .spec import THETAS, Reference, RunSpec

PROMISE = tuple(each.name for each in fields(Promise))
PROBE = 0.5  # stands for what another run has yet to give, while the parameters around it are checked


class Resolved(NamedTuple):
    """A spec checked, with every default filled in."""

    spec: RunSpec
    game: Game  # as it is played
    values: dict[str, Any]  # JSON-ready; whatever changes them changes the run
    name: str  # the mechanism and those of its parameters that differ from their defaults
    variant: str  # hash of the values without the seed: runs that differ in their seed alone share it
    folder: str  # relative: game/mechanism/algorithm/s<seed>-<hash of the values>


def resolve(spec: RunSpec) -> Resolved:
    """Check a spec and fill in its defaults. Raises UsageError for whatever does not exist or is not allowed."""
    game = make(spec.game, **spec.rules)
    mechanism = mechanism_of(spec, game, dict.fromkeys(references(spec), PROBE))
    parameters = {**parameters_of(mechanism), **{name: _named(spec, name) for name in references(spec)}}
    values = {
        "game": spec.game,
        "game_version": type(game).version,
        "rules": plain(game),
        "mechanism": spec.mechanism,
        "parameters": parameters,
        "algorithm": spec.algorithm,
        "settings": plain(algorithm_settings(spec)),
        "principal": _principal_values(spec, mechanism),
        "resources": plain(resources_of(spec)),
        "steps": spec.steps,
        "episodes": spec.episodes,
        **_origin(spec),
    }
    own = values["principal"] or {}
    for settings in (values["settings"], own, own.get("agents", {})):
        _check_encoder(game, settings)
    variant = digest(values)
    folder = (
        f"{spec.game.replace('/', '__')}/{spec.mechanism}/{spec.algorithm}/s{spec.seed}-{digest([variant, spec.seed])}"
    )
    name = _name(mechanism, spec.mechanism, parameters, {**_told_of_principal(spec, mechanism), **_told_origin(spec)})
    return Resolved(spec, mechanism.played, {**values, "seed": spec.seed}, name, variant, folder)


def explicit(spec: RunSpec) -> RunSpec:
    """The same run with every default written out, so that it stays the same when defaults change."""
    resolved = resolve(spec)
    parameters = {**resolved.values["parameters"]}
    for name, value in references(spec).items():
        parameters[name] = value.model_copy(update={"source": explicit(value.source)})
    return spec.model_copy(
        update={
            "rules": resolved.values["rules"],
            "parameters": parameters,
            "settings": resolved.values["settings"],
            "principal": spec.principal if spec.principal_from else resolved.values["principal"] or {},
            "principal_from": explicit(spec.principal_from) if spec.principal_from else None,
            "agents_from": explicit(spec.agents_from) if spec.agents_from else None,
            "resources": resolved.values["resources"],
        }
    )


def references(spec: RunSpec) -> dict[str, Reference]:
    """The parameters that other runs give."""
    return {name: value for name, value in spec.parameters.items() if isinstance(value, Reference)}


def mechanism_of(spec: RunSpec, game: Game, given: Mapping[str, float | None]) -> Mechanism:
    """The spec's mechanism for its game, with the referenced parameters as `given` by the runs they refer to."""
    return make_mechanism(spec.mechanism, game, **{**spec.parameters, **given})


def algorithm_settings(spec: RunSpec) -> Any:
    """The settings of the agents' algorithm. Raises UsageError for an unknown algorithm or setting."""
    return configure(algorithm_class(spec.algorithm), spec.settings, what=f"algorithm {spec.algorithm}")


def algorithm_class(algorithm: str) -> type[Any]:
    """The settings' class of an algorithm."""
    from ...learning import ALGORITHMS

    if algorithm not in ALGORITHMS:
        raise UsageError(nearest("algorithm", algorithm, ALGORITHMS))
    return ALGORITHMS[algorithm]


def principal_class(mechanism: str) -> type[Any] | None:
    """The settings' class of the principal that a mechanism needs trained; None where it needs none."""
    from ...learning import PRINCIPALS

    principal = mechanism_class(mechanism).principal
    return PRINCIPALS[principal] if principal else None


def principal_settings(spec: RunSpec) -> Any:
    """The settings of the principal's training; None where the run trains none."""
    cls = principal_class(spec.mechanism)
    return configure(cls, spec.principal, what="the principal") if cls and spec.principal_from is None else None


def resources_of(spec: RunSpec) -> Any:
    """What the run may use beside its own process."""
    from ...learning import Resources

    return configure(Resources, spec.resources, what="the resources")


def _check_encoder(game: Game, settings: Mapping[str, Any]) -> None:
    """Raise UsageError for a convolution over what is no grid."""
    shape = game.observation_space.shape
    if settings.get("encoder") == "conv" and (len(shape) != (2 if game.classes else 3) or min(shape) < 2):
        raise UsageError(
            f"encoder: got 'conv', which reads a grid, and an observation of {type(game).__name__} has the shape "
            f"{tuple(shape)}; ask for encoder 'mlp'"
        )


def digest(values: Any) -> str:
    """Eight hexadecimal digits that any change of the values changes."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def parameters_of(mechanism: Mechanism) -> dict[str, Any]:
    """A mechanism's parameters, JSON-ready, defaults included."""
    names = [field.name for field in fields(mechanism) if field.name != "game"]
    return {name: to_jsonable_python(getattr(mechanism, name)) for name in names}


def _named(spec: RunSpec, name: str) -> dict[str, str]:
    """How a reference stands among resolved values: without a seed, which is the run's own."""
    reference: Reference = spec.parameters[name]
    source = resolve(reference.source)
    if reference.column in THETAS and reference.source.mechanism != "drawn-contract":
        raise UsageError(
            f"{reference.column} is what agents sign who learned under drawn contracts: take it from a run of "
            f"drawn-contract (got {reference.source.mechanism})"
        )
    _same_seed(spec, reference.source)
    return {"from": f"{source.name}/{reference.source.algorithm}.{reference.column}", "variant": source.variant}


def _principal_values(spec: RunSpec, mechanism: Mechanism) -> Any:
    if not mechanism.principal:
        if spec.principal or spec.principal_from:
            raise UsageError(f"mechanism {spec.mechanism} has no principal to train: leave out its settings")
        return None
    if spec.principal_from is None:
        mechanism.check_principal()
        return plain(principal_settings(spec))
    _same_seed(spec, spec.principal_from)
    source = resolve(spec.principal_from)
    if not isinstance(source.values["principal"], dict) or "from" in source.values["principal"]:
        raise UsageError(
            f"{source.name}/{spec.principal_from.algorithm} trains no principal that could be taken from it"
        )
    changed = _promise(spec)
    return {"from": f"{source.name}/{spec.principal_from.algorithm}", "variant": source.variant, **changed}


def _origin(spec: RunSpec) -> dict[str, Any]:
    """The run that the agents come from, among resolved values; nothing where they are fresh."""
    if spec.agents_from is None:
        return {}
    _same_seed(spec, spec.agents_from)
    source = resolve(spec.agents_from)
    return {"agents_from": {"from": f"{source.name}/{spec.agents_from.algorithm}", "variant": source.variant}}


def _promise(spec: RunSpec) -> dict[str, Any]:
    """How a principal taken from another run promises where that differs: the settings that no training depends on."""
    from ...learning import PRINCIPALS

    allowed = PROMISE if principal_class(spec.mechanism) is PRINCIPALS["dqn"] else ()
    refused = sorted(set(spec.principal) - set(allowed))
    if refused:
        raise UsageError(
            f"a principal taken from another run is not trained again: got {', '.join(refused)}, allowed "
            f"{'is ' + ', '.join(allowed) if allowed else 'is no setting'}"
        )
    checked = plain(configure(Promise, spec.principal, what="the principal"))
    return {name: checked[name] for name in sorted(spec.principal)}


def _same_seed(spec: RunSpec, source: RunSpec) -> None:
    if source.seed != spec.seed:
        raise UsageError(f"seed {spec.seed} depends on a run of seed {source.seed}: they must be the same")


def _name(mechanism: Mechanism, id: str, parameters: Mapping[str, Any], further: Mapping[str, Any]) -> str:
    fields = type(mechanism).__pydantic_fields__  # type: ignore[attr-defined]
    changed = {
        name: value["from"] if isinstance(value, dict) and "from" in value else value
        for name, value in parameters.items()
        if fields[name].is_required()
        or value != to_jsonable_python(fields[name].get_default(call_default_factory=True))
    }
    return " ".join([id, *(f"{name}={value}" for name, value in {**changed, **further}.items())])


def _told_origin(spec: RunSpec) -> dict[str, Any]:
    """What a run's name says of agents that are not fresh: which run they come from, by its variant."""
    return {"agents_from": resolve(spec.agents_from).variant} if spec.agents_from else {}


def _told_of_principal(spec: RunSpec, mechanism: Mechanism) -> dict[str, Any]:
    """What a run's name says of its principal.

    How it was solved for, or promises otherwise than it was trained, or the price of money at which it was trained.
    """
    if not mechanism.principal:
        return {}
    if spec.principal_from is not None or mechanism.principal == "exact":
        return dict(spec.principal)
    settings = principal_settings(spec)
    alpha = getattr(settings, "alpha", None)
    return {} if alpha == getattr(type(settings)(), "alpha", None) else {"alpha": alpha}
