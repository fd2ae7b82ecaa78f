"""What a search for a self-interest level came to, from its record: as text, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .styles import COLOURS
from .text_table import columns

RECORD, PICTURE = "self-interest.json", "self-interest.png"


def lines(record: dict[str, Any], folder: Path) -> Iterator[str]:
    """The record, which lies in `folder`, for people."""
    game, algorithm, steps, seeds = (record[name] for name in ("game", "algorithm", "steps", "seeds"))
    yield f"{game}: {algorithm}, {steps:,} steps a level, seeds {seeds[0]} to {seeds[-1]}\n"
    yield columns([["self-interest", "agents", "welfare", "of the way", "cooperate"], *map(_row, _ordered(record))])
    yield ""
    yield _level(record)
    yield from _normal_forms(record)
    yield f"\nrecord:  {folder / RECORD}\npicture: {folder / PICTURE}"


def _ordered(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The trials from the highest level to the lowest, fresh agents first."""
    return sorted(record["trials"], key=lambda trial: (-trial["level"], not trial["fresh"]))


def _row(trial: dict[str, Any]) -> list[str]:
    way = "" if trial["way"] is None else f"{trial['way']:.0%}"
    return [
        f"{trial['level']:.4g}",
        "fresh" if trial["fresh"] else "go on from the level before",
        f"{trial['welfare']:.2f} [{trial['low']:.2f}, {trial['high']:.2f}]",
        way,
        "yes" if trial["cooperates"] else "no",
    ]


def _level(record: dict[str, Any]) -> str:
    if record["level"] is None:
        return (
            "No dilemma is to be seen: agents who want the same do no better than selfish ones, as far as these seeds "
            "tell. Either selfish agents cooperate, or more steps are needed."
        )
    low, high, criterion = record["level"], record["above"], record["criterion"]
    return (
        f"s* = {low:.4g}: fresh agents cooperate at {low:.4g}, and at {high:.4g} they do not. They do where the mean "
        f"welfare of the seeds is {criterion['welfare']:.2f} or more, {criterion['share']:.0%} of the way from that of "
        "selfish agents to that of agents who want the same."
    )


def _normal_forms(record: dict[str, Any]) -> Iterator[str]:
    """What the normal forms say of the game, where there are any."""
    if record["closed_form"] is not None:
        yield f"by the payoffs of one step: s* = {record['closed_form']:.4g}"
    found = record["empirical"]
    if found is None:
        yield "by what mixes of agents of the two ends earn: not known, since they are too many to play every mix"
        return
    level, kept = ("none" if found[key] is None else f"{found[key]:.4g}" for key in ("level", "kept"))
    yield f"by what mixes of agents of the two ends earn: s* = {level}, g* = {kept}"
    if found["matrix"] is not None:
        rows = ", ".join(f"[{', '.join(f'{part:.7g}' for part in row)}]" for row in found["matrix"])
        yield f"T* of those, for transfer-matrix: --set 'matrix=[{rows}]'"


def draw(record: dict[str, Any], out: Path) -> None:
    """Welfare against the level, with intervals over seeds; where s* lies, and what is needed to cooperate."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axis, criterion = figure.subplots(), record["criterion"]
    series = {"fresh agents": (True, COLOURS[0], "o-"), "agents that go on": (False, COLOURS[1], "s--")}
    for label, (fresh, colour, style) in series.items():
        trials = [trial for trial in _ordered(record) if trial["fresh"] == fresh]
        means = [trial["welfare"] for trial in trials]
        bars = [[t["welfare"] - t["low"] for t in trials], [t["high"] - t["welfare"] for t in trials]]
        axis.errorbar(
            [t["level"] for t in trials], means, yerr=bars, fmt=style, color=colour, markersize=5, linewidth=1.2,
            label=label,
        )  # fmt: skip
    if record["level"] is not None:
        axis.axhline(criterion["welfare"], color="0.5", linewidth=0.8, zorder=0)
        axis.annotate(
            f"{criterion['share']:.0%} of the way", (0, criterion["welfare"]), (4, 3),
            xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8, color="0.35",
        )  # fmt: skip
        axis.axvspan(record["level"], record["above"], color="0.85", zorder=0, label="s* lies here")
    if record["closed_form"] is not None:
        axis.axvline(record["closed_form"], color="0.35", linewidth=0.8, linestyle=":", label="closed form")
    axis.set_title(f"{record['game']}: what agents make of what they keep", loc="left", fontsize=11)
    axis.set_xlabel("self-interest s, the part of its reward that every agent keeps")
    axis.set_ylabel("welfare of an episode")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=9, frameon=False)
    figure.savefig(out, format="png", dpi=120)
