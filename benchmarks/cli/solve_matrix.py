"""`paymaster solve FILE.csv`: a matrix game from a table of payoffs."""

from __future__ import annotations

import csv
import json
from itertools import product
from pathlib import Path

import numpy as np

from ...core.config import UsageError
from ...equilibria.normal_form.solve_matrix import MatrixSolution, solve_matrix

LARGEST = 10_000_000  # bytes of a file
FORM = "a line for each joint action: N actions by their names, then N payoffs, below a head of 2 N names"


def solved_matrix(path: Path, alpha: float, *, as_json: bool) -> str:
    """The solutions of the matrix game in a CSV, as text or as JSON. Raises UsageError for a file that is none."""
    payoffs, names = read_payoffs(path)
    found = solve_matrix(payoffs, alpha=alpha, names=names)
    return json.dumps(_json(found), indent=1) if as_json else str(found)


def read_payoffs(path: Path) -> tuple[np.ndarray, list[list[str]]]:
    """Payoffs (A1, ..., AN, N) and the names of each agent's actions, in the order in which they appear.

    Raises UsageError for a file that cannot be read, or does not say every payoff once.
    """
    try:
        if not path.is_file():
            raise UsageError(f"{path} is no file; give {FORM}")
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is larger than the {LARGEST:,} bytes allowed")
        with path.open(newline="", encoding="utf-8-sig") as file:
            head, *lines = [[cell.strip() for cell in line] for line in csv.reader(file, strict=True) if line] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    N, odd = divmod(len(head), 2)
    if odd or not N:
        raise UsageError(f"{path} has {len(head)} columns; needed is {FORM}")
    told: dict[tuple[str, ...], list[float]] = {}
    for number, line in enumerate(lines, 2):
        actions = tuple(line[:N])
        if len(line) != len(head) or actions in told:
            why = "is there twice" if actions in told else f"has {len(line)} cells of {len(head)}"
            raise UsageError(f"{path}, line {number}: {', '.join(actions)} {why}; needed is {FORM}")
        try:
            told[actions] = [float(cell) for cell in line[N:]]
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: {error}; needed is {FORM}") from None
    names = [list(dict.fromkeys(actions[i] for actions in told)) for i in range(N)]
    missing = next((joint for joint in product(*names) if joint not in told), None) if told else ()
    if missing is not None:
        raise UsageError(f"{path} has no payoffs of {', '.join(missing) or 'any action'}; needed is {FORM}")
    payoffs = np.array([told[joint] for joint in product(*names)])
    return payoffs.reshape(*map(len, names), N), names


def _json(found: MatrixSolution) -> dict[str, object]:
    """What was found, as JSON-ready values."""
    return {
        "names": found.names, "alpha": found.alpha,
        "equilibria": [
            {"strategies": [each.tolist() for each in one.strategies], "payoffs": one.payoffs.tolist()}
            for one in found.equilibria
        ],
        "induced": [
            {
                "actions": [found.names[i][action] for i, action in enumerate(each.actions)],
                "welfare": each.welfare, "payments": each.payments.tolist(), "dominant": each.dominant.tolist(),
                "utility": found.utility(each),
            }
            for each in found.induced
        ],
        "self_interest": _known(found.self_interest),
        "transfers": None if found.transfers is None or _known(found.transfers.level) is None else {
            "matrix": found.transfers.matrix.tolist(), "level": found.transfers.level,
        },
    }  # fmt: skip


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value
