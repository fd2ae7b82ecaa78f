"""What the script of an HTML report draws, JSON-ready: curves and points of every line, and replays as scenes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue

from ...core.config import UsageError
from ...envs.game import Scene, Sprite
from ...render.layouts import ORCHARD, RIVER, STREAM, TILES, WALL
from ...render.panel import Frame
from ...render.sprites import FLOOR, PALETTE, RGB
from ..analysis.comparison import Comparison
from ..analysis.dataset import source_of
from ..analysis.groups import Group, Line
from ..files import RUN, runs
from ..measures.statistics import ENOUGH, estimate
from ..runs.record import read_about
from ..runs.replay import frames
from .curves import PANELS, Curve, known_values, line_curve
from .episode import of_run, worth_seeing
from .frontier import Ends, Point, exact_points, pays, point_of
from .styles import Style, styles

DIGITS = 6  # of a number that is drawn

Json = dict[str, JsonValue]


class Kept(NamedTuple):
    """A run in a folder of results."""

    folder: Path
    about: Mapping[str, Any]  # its run.json


Found = Mapping[tuple[str, str], Kept]  # by the source and the folder by which a line names its run


def kept_runs(path: Path) -> Found:
    """The runs at or below `path` whose record can be read."""
    found = {}
    for folder in runs(path):
        try:
            about = read_about(folder / RUN)
        except UsageError:
            continue  # the comparison already names it among the damaged ones
        found[source_of(folder, str(about["run"])), str(about["run"])] = Kept(folder, about)
    return found


def runs_of(line: Line, found: Found) -> list[Kept]:
    """The runs of a line, in the order of their seeds."""
    keys = ((line.source, row.run) for _, row in sorted(line.seeds.items()))
    return [found[key] for key in keys if key in found]


# Curves and points


def drawn(comparison: Comparison, found: Found) -> list[Json]:
    """The curves, the points and the exact solutions of each group."""
    labels = ((line.first.mechanism, line.label) for group in comparison.groups for line in group.lines)
    looks = styles(comparison, labels)
    return [_charts(group, looks, found) for group in comparison.groups]


def _charts(group: Group, looks: Mapping[str, Style], found: Found) -> Json:
    panels = [column for column in PANELS if column == "welfare" or pays(group)]
    series: list[JsonValue] = [_series(line, looks[line.label], panels, found) for line in group.lines]
    levels: list[JsonValue] = [
        {
            "title": PANELS[column],
            "levels": [[_short(value), ", ".join(names)] for value, names in known_values(group, column).items()],
        }
        for column in panels
    ]
    return {"series": series, "panels": levels, "frontier": _frontier(group) if pays(group) else None}


def _series(line: Line, look: Style, panels: Sequence[str], found: Found) -> Json:
    folders = [run.folder for run in runs_of(line, found)]
    curves: list[JsonValue] = []
    for column in panels:
        try:
            learned = line_curve(line, column, folders)
        except UsageError:  # a damaged file: only its evaluation is known
            learned = None
        curves.append(None if learned is None else _curve(learned))
    point = _point(point_of(line, line.label, look.colour))
    return {"label": line.label, "dash": look.dash, "mark": look.mark, **point, "curves": curves, "colour": look.colour}


def _curve(learned: Curve) -> Json:
    """The mean over seeds, and the 95% interval; of fewer seeds than an interval needs, the lowest and the highest."""
    bins = [seeds[~np.isnan(seeds)] for seeds in learned.seeds.T]
    means = [estimate(seeds) for seeds in bins]
    known = [each.seeds >= ENOUGH for each in means]
    lows = [each.low if k else seeds.min() for each, seeds, k in zip(means, bins, known, strict=True)]
    highs = [each.high if k else seeds.max() for each, seeds, k in zip(means, bins, known, strict=True)]
    return {
        "steps": [round(step) for step in learned.steps.tolist()],
        "mean": [_short(each.mean) for each in means],
        "low": [_short(each) for each in lows],
        "high": [_short(each) for each in highs],
    }


def _frontier(group: Group) -> Json:
    known = exact_points(group)
    return {
        "optimum": None if known.optimum is None else _short(known.optimum),
        "near": [_point(each) for each in known.near],
        "far": [_point(each) for each in known.far],
    }


def _point(point: Point) -> Json:
    return {"name": point.name, "payment": _ends(point.payment), "welfare": _ends(point.welfare)}


def _ends(ends: Ends) -> list[JsonValue]:
    return [_short(ends.low), _short(ends.mean), _short(ends.high)]


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


# Replays


def replays(group: Group, found: Found, room: int) -> tuple[list[JsonValue], list[str]]:
    """The replays of a group, one a line, in about `room` bytes of JSON, and a sentence for each that is missing.

    Those of runs with a principal come first. The first one is cut where it needs more; others are left out.
    """
    labels = {kept[0].folder: line.label for line in group.lines if (kept := runs_of(line, found))}
    shown: list[JsonValue] = []
    missing, left_out = list[str](), 0
    for folder in worth_seeing(labels):
        try:
            replay, size = _replay(folder, labels[folder], room, whole=bool(shown))
        except UsageError as error:
            missing.append(f"{labels[folder]}: its replay cannot be drawn: {error}")
            continue
        if replay is None:
            left_out += 1
            continue
        shown.append(replay)
        room -= size
    if left_out:
        missing.append(f"{left_out} more replays are left out, to keep the file small")
    return shown, missing


def _replay(folder: Path, label: str, room: int, *, whole: bool) -> tuple[Json | None, int]:
    """The replay of a run, and its size in bytes; None where there is no room for all of it and it must be `whole`."""
    game, replay = of_run(folder)
    boards, sprites = dict[str, int](), dict[Sprite, int]()
    known = drawn_on = 0  # of the sprites and the boards: those whose size is counted
    moments, size, last = list[JsonValue](), 0, None
    for moment, frame in _moments(frames(game, replay), boards, sprites):
        new = (_sprite(sprite) for sprite in islice(sprites, known, None))
        size += len(json.dumps([moment, *new])) + len("".join(islice(boards, drawn_on, None)))
        known, drawn_on = len(sprites), len(boards)
        if size > room:
            break
        moments.append(moment)
        last = frame
    steps = len(replay.actions)
    if last is None or (whole and len(moments) <= steps):
        return None, 0
    found: Json = {
        "label": label, "steps": steps, "head": list(last.panel.head), "moments": moments,
        "boards": [json.loads(board) for board in boards],
        "sprites": [_sprite(sprite) for sprite in sprites],
        "totals": [{"name": name, "values": [_short(each) for each in values]} for name, values in last.panel.curves],
    }  # fmt: skip
    return found, size


def _moments(
    shown: Iterator[Frame], boards: dict[str, int], sprites: dict[Sprite, int]
) -> Iterator[tuple[JsonValue, Frame]]:
    """Each frame as its caption, its panel, and what came to the board and what went since the frame before.

    Sprites, and boards, are the numbers that they get in `boards` and `sprites`.
    """
    before, board = set[int](), -1
    for frame in shown:
        scene, panel = frame
        now = {sprites.setdefault(sprite, len(sprites)) for sprite in scene.sprites}
        moment: Json = {"caption": scene.caption, "rows": [list(row) for row in panel.rows], "lines": [*panel.lines]}
        for name, changed in (("come", now - before), ("gone", before - now)):
            if changed:
                moment[name] = [*sorted(changed)]
        if board != (board := boards.setdefault(_board(scene), len(boards))):
            moment["board"] = board
        before = now
        yield moment, frame


def _board(scene: Scene) -> str:
    """What a scene has beside its sprites and its caption, as JSON."""
    kept = {"rows": scene.rows, "columns": scene.columns, "ground": scene.ground, "kind": scene.kind}
    return json.dumps({**kept, "choices": scene.choices})


def _sprite(sprite: Sprite) -> list[JsonValue]:
    return [sprite.kind, _short(sprite.row), _short(sprite.column), sprite.colour, sprite.label, sprite.facing]


def colours() -> Json:
    """The colours of agents and of tiles, as in all pictures."""
    tiles = {character: _hex(colour) for character, colour in TILES.items()}
    named = {"wall": WALL, "river": RIVER, "stream": STREAM, "orchard": ORCHARD, "floor": FLOOR}
    return {
        "agents": [_hex(colour) for _, colour in PALETTE],
        "tiles": {**tiles},
        **{name: _hex(colour) for name, colour in named.items()},
    }


def _hex(colour: RGB) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
