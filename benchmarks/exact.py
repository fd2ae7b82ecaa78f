"""What is known exactly of a game, as rows to stand above what was learned."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..envs import make
from ..envs.config import UsageError
from ..envs.core import Game
from .overrides import parse_settings
from .plaintext import columns

ALPHA = 0.1  # Ivanov et al. 2024: the principal maximises welfare / alpha - payments
DISCOUNT = 0.99  # the learners'


class Exact(NamedTuple):
    """One exact solution of a game: its welfare and what a principal pays for it."""

    name: str
    welfare: float
    payment: float | None  # None where there is no principal


def exact(game: Game) -> list[Exact]:
    """The exact solutions of a game, none where it has no table of states.

    Where the horizon cuts the episode these are the stationary ones at the learners' discount, evaluated over the
    horizon, since that is the game that the learners are given.
    """
    from ..contracts.equilibrium import summary

    try:
        return solutions(summary(game, alpha=ALPHA, discount=DISCOUNT if game.truncates else None))
    except UsageError:
        return []


def solutions(summary: dict[str, Any]) -> list[Exact]:
    """The solutions that a summary of the solver holds."""
    selfish = summary["selfish"]
    return [
        Exact("social optimum", summary["cooperative"]["welfare"], None),
        Exact("selfish equilibrium, highest", selfish["highest"]["welfare"], None),
        Exact("selfish equilibrium, lowest", selfish["lowest"]["welfare"], None),
        Exact("principal, subgame-perfect", summary["principal"]["welfare"], summary["principal"].get("payment", 0.0)),
        Exact(
            "principal, dominant strategies",
            summary["principal_dominant"]["welfare"],
            summary["principal_dominant"].get("payment", 0.0),
        ),
    ]


def solved(id: str, settings: list[str], *, alpha: float, discount: float | None, as_json: bool) -> str:
    """The exact solutions of the game `id`, for people or as JSON. Raises UsageError for a game that has no table."""
    from ..contracts.equilibrium import summary

    found = summary(make(id, **parse_settings(settings)), alpha=alpha, discount=discount)
    if as_json:
        return json.dumps(found, indent=1)
    kind = f"stationary at discount {discount:g}" if discount is not None else "finite horizon, undiscounted"
    head = f"{id}: {found['states']:,} states, horizon {found['horizon']}; {kind}; alpha {alpha:g}"
    rows = [["exact solution", "welfare", "payment", "share", "utility"]]
    for each in solutions(found):
        paid = each.payment or 0.0
        share = "" if each.payment is None else f"{paid / each.welfare:.1%}" if each.welfare > 0 else "-"
        payment = "" if each.payment is None else f"{paid:.3f}"
        utility = f"{each.welfare / alpha - paid:.2f}"
        rows.append([each.name, f"{each.welfare:.3f}", payment, share, utility])
    return f"{head}\n\n{columns(rows)}"
