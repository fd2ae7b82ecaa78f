"""What a run is called: its variant by a digest of its values, its name for people, and its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from ...contracts.mechanism import Mechanism
from ...learning.agents.mixed import MIXED
from ...learning.agents.scripted import SCRIPTED
from ...learning.external import EXTERNAL
from .spec import RunSpec


def digest(values: object) -> str:
    """A hash of the values, as eight hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def run_name(mechanism: Mechanism, id: str, parameters: Mapping[str, object], further: Mapping[str, object]) -> str:
    """The mechanism `id` and those of its parameters that differ from their defaults, then what `further` says."""
    fields = type(mechanism).__pydantic_fields__  # type: ignore[attr-defined]
    changed = {
        name: value["from"] if isinstance(value, dict) and "from" in value else value
        for name, value in parameters.items()
        if fields[name].is_required()
        or value != to_jsonable_python(fields[name].get_default(call_default_factory=True))
    }
    return " ".join([id, *(f"{name}={value}" for name, value in {**changed, **further}.items())])


def learner_name(values: Mapping[str, Any]) -> str:
    """What comparisons call the agents' learner, by the resolved values of a run."""
    if values["algorithm"] == EXTERNAL:
        return f"{values['settings']['learner']} ({EXTERNAL})"
    if values["algorithm"] == MIXED:
        mixture = values["settings"]
        return "+".join(_called(id, mixture["settings"].get(id, {})) for id in mixture["agents"])
    return _called(values["algorithm"], values["settings"])


def _called(algorithm: str, settings: Mapping[str, Any]) -> str:
    """An algorithm's name: scripted agents are called by their strategy."""
    return str(settings.get("strategy", algorithm)) if algorithm == SCRIPTED else algorithm


def run_folder(spec: RunSpec, variant: str) -> str:
    """The run's folder, relative: game/mechanism/algorithm/s<seed>-<hash of the variant and the seed>."""
    run = f"s{spec.seed}-{digest([variant, spec.seed])}"
    return f"{spec.game.replace('/', '__')}/{spec.mechanism}/{spec.algorithm}/{run}"
