"""A comparison as JSON."""

from __future__ import annotations

import json
from typing import Any

from ..analysis.columns import EVERY
from ..analysis.comparison import Comparison
from ..analysis.dataset import Published
from ..analysis.groups import Group, Line
from ..measures.statistics import Estimate


def as_json(comparison: Comparison) -> str:
    """Everything that a comparison holds; what is undefined or not known is null."""
    groups = [
        {
            "game": group.game, "version": group.version, "rules": group.rules,
            "horizon": group.horizon, "agents": group.agents,
            "solved_from": group.solved_from,
            "exact": [each._asdict() for each in group.exact],
            "lines": [_json_line(group, line) for line in group.lines],
        }
        for group in comparison.groups
    ]  # fmt: skip
    across = {
        label: {**_json_estimate(each.estimate), "games": each.games} for label, each in comparison.across.items()
    }
    published = [
        {name: getattr(each, name) for name in Published.__dataclass_fields__} for each in comparison.published
    ]
    everything = {
        "groups": groups, "across": across, "published": published,
        "notes": comparison.notes, "damaged": comparison.damaged,
    }  # fmt: skip
    return json.dumps(everything, indent=1)


def _json_line(group: Group, line: Line) -> dict[str, Any]:
    difference = group.differences.get(line.label)
    return {
        "mechanism": line.first.mechanism, "name": line.name, "algorithm": line.algorithm, "source": line.source,
        "variant": line.first.variant, "steps": line.first.steps, "principal_steps": line.first.principal_steps,
        "metrics": {
            metric: {**_json_estimate(line.estimate(metric)), "by_seed": line.values(metric)} for metric in EVERY
        },
        "difference": difference
        and {"to": difference.base, **_json_estimate(difference.estimate), "verdict": difference.estimate.verdict},
        "solved": group.solved(line),
    }  # fmt: skip


def _json_estimate(found: Estimate) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in found._asdict().items()}
