"""The rates that a run's contracts promise, by situation, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...contracts.loop import Minds, Simulation
from ...contracts.mechanism import Summary
from ...core.config import UsageError
from ...envs.game import Game
from ...envs.grid.maps import APPLE, WASTE
from ...learning.role import EVALUATE
from ...render.sprites import colour_of
from ..files import atomic_file
from ..runs.load import Loaded
from .text_table import columns

EPISODES = 256  # of the phase evaluate that are played
BINS = 8  # into which a situation with more values is divided
FOLLOWING = "followed"  # the fact that is paid for where an action is recommended
COUNTED = {"apples": APPLE, "waste": WASTE}  # classes of a map's cells


class Played(NamedTuple):
    """What was promised and done in episodes of at most T steps."""

    facts: tuple[str, ...]  # K names
    rates: np.ndarray  # (M, N, K) promised for a step; M steps in all
    done: np.ndarray  # (M, N, K) how often it was done in the step
    situations: dict[str, np.ndarray]  # name: (M,) its value at each step


class Situation(NamedTuple):
    """The steps in which something lay between two values, both included."""

    what: str
    low: int
    high: int
    share: float  # of all steps
    rates: np.ndarray  # (N, K) means
    done: np.ndarray  # (N, K)


def played(loaded: Loaded, episodes: int = EPISODES) -> Played:
    """Play the first episodes of the phase evaluate again. Raises UsageError where the mechanism promises no rates."""
    game, mechanism, seed = loaded.game, loaded.mechanism, loaded.spec.seed
    loop = Simulation(
        game, mechanism, episodes,
        seed=seed, stream=EVALUATE.stream, principal=loaded.principal, minds=Minds.of(loaded.policy),
    )  # fmt: skip
    facts = names(game, mechanism.summary(loop.terms, episodes))
    kept: tuple[list[np.ndarray], ...] = ([], [], [], [])
    while (first := loop.episode == 0).any():
        promised, world, t = _promised(mechanism.summary(loop.terms, episodes)), game.world(loop.state), loop.t
        step = loop.step(loaded.policy(loop.seen))
        happened = step.complied[..., None] if facts == (FOLLOWING,) else game.facts(step.transition.events)  # type: ignore[index]
        for parts, part in zip(kept, (promised, happened, world, t), strict=True):
            parts.append(part[first])
    rates, done, worlds, clock = (np.concatenate(parts) for parts in kept)
    return Played(facts, rates, done, {"step": clock.astype(np.int64), **_counts(game, worlds)})


def situations(found: Played) -> Iterator[Situation]:
    """The steps grouped by each situation, in bins of equal width where it has many values."""
    for what, values in found.situations.items():
        low, high = int(values.min()), int(values.max())
        width = -(-(high - low + 1) // BINS)
        for begin in range(low, high + 1, width):
            chosen = (values >= begin) & (values < begin + width)
            if chosen.any():
                end = min(begin + width - 1, high)
                means = found.rates[chosen].mean(axis=0), found.done[chosen].mean(axis=0)
                yield Situation(what, begin, end, float(chosen.mean()), *means)


def table(found: Played, listed: Sequence[Situation], agents: Sequence[str]) -> str:
    """The mean rate and how often each fact occurs in a step: by situation over all agents, then by agent."""
    heads = [f"{name.replace('_', ' ')}: {what}" for name in found.facts for what in ("rate", "times a step")]
    rows = [["situation", "steps", *heads]]
    for each in listed:
        label = f"{each.what} {each.low}" + (f"-{each.high}" if each.high > each.low else "")
        rows.append([label, f"{each.share:.0%}", *_cells(each.rates.mean(axis=0), each.done.sum(axis=0))])
    for agent, name in enumerate(agents):
        rates, done = found.rates[:, agent].mean(axis=0), found.done[:, agent].mean(axis=0)
        rows.append([name, "100%", *_cells(rates, done)])
    return columns(rows)


def names(game: Game, summary: Summary) -> tuple[str, ...]:
    """What terms pay for: K names. Raises UsageError where they are no rates."""
    if summary.promised.ndim == 3:
        return tuple(game.verifiable)
    if (summary.recommended >= 0).all():
        return (FOLLOWING,)
    raise UsageError("its mechanism has no principal that promises rates; show a run of one that has, as principal-ppo")


def _promised(summary: Summary) -> np.ndarray:
    """(B, N, K)."""
    return summary.promised if summary.promised.ndim == 3 else summary.promised[..., None]


def _counts(game: Game, worlds: np.ndarray) -> dict[str, np.ndarray]:
    """How many cells of the maps (M, H, W) show apples, and waste, where the count varies; none of other worlds."""
    if not game.classes or worlds.ndim != 3 or worlds.shape[1:] == (1, 1):
        return {}
    counted = {what: (worlds == each).sum(axis=(1, 2)) for what, each in COUNTED.items()}
    return {what: count for what, count in counted.items() if count.min() < count.max()}


def _cells(rates: np.ndarray, done: np.ndarray) -> list[str]:
    return [cell for rate, times in zip(rates, done, strict=True) for cell in (f"{rate:.3f}", f"{times:.3f}")]


def draw_rates(found: Played, listed: Sequence[Situation], agents: Sequence[str], title: str, out: Path) -> None:
    """Draw every agent's mean rate, a row for each fact and a column for each situation."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, kinds = len(found.facts), list(found.situations)
    figure = Figure(figsize=(1 + 3.6 * len(kinds), 0.6 + 2.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, len(kinds), squeeze=False, sharey=True, sharex="col")
    for row, fact in enumerate(found.facts):
        for column, kind in enumerate(kinds):
            bins = [each for each in listed if each.what == kind]
            middle, axis = [(each.low + each.high) / 2 for each in bins], axes[row][column]
            for agent, name in enumerate(agents):
                rates = [each.rates[agent, row] for each in bins]
                colour = [part / 255 for part in colour_of(agent)]
                axis.plot(middle, rates, marker="o", markersize=3, color=colour, alpha=0.8, label=name)
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_ylim(bottom=0.0)
            if row == rows - 1:
                axis.set_xlabel(kind)
        axes[row][0].set_ylabel(f"rate, {fact.replace('_', ' ')}")
    axes[0][0].set_title(title, loc="left", fontsize=9)
    axes[0][-1].legend(frameon=False, fontsize=8)
    with atomic_file(out) as partial:
        figure.savefig(partial, format="png", dpi=120)
