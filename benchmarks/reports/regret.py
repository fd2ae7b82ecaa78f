"""The regret of a principal that learns: what each episode of its training lost against the exact best contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...contracts.outcomes import OutcomeContract
from ...contracts.rates import EpisodeRates
from ..files import atomic_file
from ..measures.exact_solutions import ALPHA, PRINCIPAL, is_cheap
from ..measures.formulas import utility
from ..measures.solution_cache import cached_summary, kept_summary
from ..runs.load import Loaded
from ..runs.record import read_episodes
from .styles import COLOURS

if TYPE_CHECKING:
    import pandas as pd

BINS = 100  # of equally many episodes, over each of which the right panel takes the mean
TENTH = 10  # the share of the episodes whose mean is printed


class Regret(NamedTuple):
    """What E episodes lost against the best contract, in the order in which they ended.

    It is that contract's utility less the episode's: welfare / alpha - payments each or, of payments on outcomes, the
    principal's return less its payments. The contract's is exact and undiscounted. For rates it is that of the best
    linear contract with agents in the selfish equilibrium of highest welfare; where learners answer better than that,
    the regret is negative. For payments on outcomes it is that of the subgame-perfect principal.
    """

    contract: str  # in words
    best: float  # its utility
    steps: np.ndarray  # (E,) environment steps when the episode ended
    values: np.ndarray  # (E,)


def regret(loaded: Loaded, folder: Path) -> Regret | None:
    """The regret of a run's training; None where it trains no contract of rates or outcomes, or the best is unknown.

    It is known where the game is small enough to be always solved, or a comparison has solved it.
    """
    game, principal, mechanism = loaded.game, loaded.run.principal, loaded.mechanism
    alpha = ALPHA if isinstance(mechanism, OutcomeContract) else getattr(principal, "alpha", None)
    if principal is None or alpha is None or not isinstance(mechanism, EpisodeRates | OutcomeContract):
        return None
    summary = cached_summary(game, alpha, None) if is_cheap(game) else kept_summary(game, alpha, None)
    if summary is None:
        return None
    if isinstance(mechanism, OutcomeContract):
        return on_outcomes(summary["hidden_actions"]["principal"], read_episodes(folder, "train"))
    return summary["best_rate"] and against(summary["best_rate"], read_episodes(folder, "train"), alpha)


def against(best: Mapping[str, Any], episodes: pd.DataFrame, alpha: float) -> Regret:
    """The regret of `episodes` against the best linear contract in a summary of the solver."""
    most = utility(best["welfare"], best["payment"], alpha)
    got = episodes["welfare"] / alpha - episodes["principal_payment"]
    rates = ", ".join(f"{rate:.4g} for each {fact}" for fact, rate in best["rates"].items())
    return Regret(f"best linear contract: {rates}", most, episodes["steps"].to_numpy(), most - got.to_numpy())


def on_outcomes(best: Mapping[str, Any], episodes: pd.DataFrame) -> Regret:
    """The regret of `episodes` against the subgame-perfect principal in a summary of the solver."""
    got = episodes["principal_return"] - episodes["principal_payment"]
    return Regret(PRINCIPAL, best["utility"], episodes["steps"].to_numpy(), best["utility"] - got.to_numpy())


def in_words(found: Regret) -> str:
    """The best contract, and the mean regret of the first and the last episodes."""
    tenth = max(1, len(found.values) // TENTH)
    first, last = found.values[:tenth].mean(), found.values[-tenth:].mean()
    return (
        f"{found.contract}; utility {found.best:.2f}\n"
        f"mean regret of an episode in training: {first:.2f} in the first tenth, {last:.2f} in the last"
    )


def draw_regret(found: Regret, title: str, out: Path) -> None:
    """Draw the cumulative regret, and the mean regret of an episode, against the environment steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    whole, each = figure.subplots(1, 2)
    whole.plot(found.steps, found.values.cumsum(), color=COLOURS[0])
    parts = [part for part in np.array_split(np.arange(len(found.values)), BINS) if len(part)]
    means = [found.values[part].mean() for part in parts]
    each.plot([found.steps[part].mean() for part in parts], means, color=COLOURS[0])
    for axis, label in ((whole, "cumulative regret"), (each, "mean regret of an episode")):
        axis.axhline(0.0, color="0.5", linewidth=0.8, zorder=0)
        axis.set_xlabel("environment steps")
        axis.set_ylabel(label)
        axis.xaxis.set_major_formatter(lambda steps, _: f"{steps:,.0f}")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.locator_params(axis="x", nbins=5)
        axis.spines[["top", "right"]].set_visible(False)
    whole.set_title(title, loc="left", fontsize=9)
    with atomic_file(out) as partial:
        figure.savefig(partial, format="png", dpi=120)
