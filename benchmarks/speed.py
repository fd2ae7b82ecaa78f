"""`paymaster speed`: ratios measured in one run, on the machine at hand."""

from __future__ import annotations

import json

from ..learning.sampling import sampling
from .plaintext import columns


def speed(game: str, *, as_json: bool) -> str:
    """Sampling rates of RLlib's runner and of the array runner, and how many times faster each is."""
    rates = list(sampling(game))
    base = rates[0].steps_per_second
    if as_json:
        rows = [{**rate._asdict(), "times": rate.steps_per_second / base} for rate in rates]
        return json.dumps({"game": game, "sampling": rows}, indent=1)
    header = ["runner", "environments", "steps a second", "times RLlib's"]
    body = [
        [rate.runner, str(rate.environments), f"{rate.steps_per_second:,.0f}", f"{rate.steps_per_second / base:.1f}"]
        for rate in rates
    ]
    return f"{game}, sampling, policy included, one thread\n\n" + columns([header, *body])
