"""A comparison as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from pydantic import JsonValue

from ..analysis.comparison import Comparison
from ..analysis.groups import Difference, Group, Line
from ..measures.columns import COLUMNS
from ..measures.statistics import Estimate, Rate


def as_json(comparison: Comparison) -> str:
    """Everything that a comparison holds, and what its metrics are; what is undefined or unknown is null."""
    groups = [
        {
            "game": group.game, "version": group.version, "rules": group.rules,
            "horizon": group.horizon, "agents": group.agents,
            "success_threshold": group.success_threshold,
            "exact": [{**each._asdict(), "label": each.label, "counts": each.counts} for each in group.exact],
            "lines": [_json_line(group, line) for line in group.lines],
        }
        for group in comparison.groups
    ]  # fmt: skip
    across = {label: {**_json(each.estimate), "games": each.games} for label, each in comparison.across.items()}
    columns = {
        name: {"label": column.label, "about": column.about, "section": column.section.value}
        for name, column in COLUMNS.items()
    }
    everything = {
        "columns": columns, "groups": groups, "across": across,
        "published": [asdict(each) for each in comparison.published],
        "notes": comparison.notes, "damaged": comparison.damaged,
    }  # fmt: skip
    return json.dumps(everything, indent=1)


def _json_line(group: Group, line: Line) -> dict[str, object]:
    success = group.success_rate(line)
    return {
        "mechanism": line.first.mechanism, "name": line.name, "label": line.label, "algorithm": line.algorithm,
        "source": line.source, "variant": line.first.variant, "steps": line.first.steps,
        "principal_steps": line.first.principal_steps, "total_steps": line.first.total_steps,
        "metrics": {
            name: {**_json(line.estimate(name)), "by_seed": line.values(name)} for name in COLUMNS
        },
        "difference": _json_difference(group.differences.get(line.label)),
        "difference_at_total_steps": _json_difference(group.at_total.get(line.label)),
        "success_rate": success and _json(success),
        "converged": line.converged,
    }  # fmt: skip


def _json_difference(difference: Difference | None) -> dict[str, JsonValue] | None:
    return difference and {
        "to": difference.base, **_json(difference.judged.estimate),
        "p": _known(difference.judged.p), "verdict": difference.judged.verdict,
    }  # fmt: skip


def _json(found: Estimate | Rate) -> dict[str, JsonValue]:
    return {name: _known(value) for name, value in found._asdict().items()}


def _known(value: float) -> float | None:
    """The value; None where it is undefined."""
    return None if value != value else value
