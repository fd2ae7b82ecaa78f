"""Cross-play as text: matrices of who plays with whom, a table with a line for each pairing, and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any

from ..analysis.crossplay import MEASURES, NONE, Cell, CrossPlay
from ..measures.statistics import Estimate
from .text_table import markdown

NOTE = (
    "Rows play the first agent, columns {others}, in {episodes} episodes on unseen keys; [95% interval over seeds, "
    "Student's t; over episodes where there is one pair of seeds]. Agents play with those of the next seed; those of "
    "one line in disjoint pairs of seeds, or with themselves where there is one. An income is rewards, payments and "
    "transfers, less taxes. Who did not learn under a contract's mechanism is not shown its terms."
)


def as_markdown(found: CrossPlay) -> str:
    """For each contract a matrix of welfare, and one of both sides' incomes; then what the numbers are."""
    cells = {(cell.contract, cell.row, cell.column): cell for cell in found.cells}
    parts = [f"### Cross-play in {found.game}"]
    for contract in found.contracts:
        under = "without a contract" if contract == NONE else f"under the contract of {contract}"
        parts += [f"Welfare {under}", _matrix(found, contract, cells, lambda cell: _text(cell.welfare))]
        parts += [f"Income of the row / of the column {under}", _matrix(found, contract, cells, _incomes)]
    others = "the second" if found.agents == 2 else "all others"
    return "\n\n".join([*parts, NOTE.format(others=others, episodes=found.episodes)])


def as_csv(found: CrossPlay) -> str:
    """A line for each pairing, with every measure's mean and interval."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    bounds = [f"{name}{part}" for name in MEASURES for part in ("", "_low", "_high")]
    writer.writerow(["contract", "row", "column", *bounds, "over", "count"])
    for cell in found.cells:
        numbers = [round(value, 6) for name in MEASURES for value in getattr(cell, name)[:3]]
        writer.writerow([cell.contract, cell.row, cell.column, *numbers, cell.over, cell.welfare.seeds])
    return text.getvalue().rstrip("\n")


def as_json(found: CrossPlay) -> dict[str, Any]:
    """All of it: the players with their runs, and every pairing."""
    players = [{"name": each.name, "runs": [run.run.folder for run in each.runs]} for each in found.players]
    cells = [{**cell._asdict(), **{name: getattr(cell, name)._asdict() for name in MEASURES}} for cell in found.cells]
    told = {name: getattr(found, name) for name in ("game", "rules", "agents", "episodes")}
    return {**told, "players": players, "contracts": found.contracts, "cells": cells, "left_out": found.left_out}


def _matrix(
    found: CrossPlay, contract: str, cells: Mapping[tuple[str, str, str], Cell], text: Callable[[Cell], str]
) -> str:
    names = [player.name for player in found.players]
    keys = [[(contract, row, column) for column in names] for row in names]
    filled = [[text(cells[key]) if key in cells else "-" for key in row] for row in keys]
    return markdown([["", *names], *([name, *row] for name, row in zip(names, filled, strict=True))])


def _incomes(cell: Cell) -> str:
    return f"{_text(cell.row_income)} / {_text(cell.column_income)}"


def _text(value: Estimate) -> str:
    return f"{value.mean:.2f} [{value.low:.2f}, {value.high:.2f}]"
