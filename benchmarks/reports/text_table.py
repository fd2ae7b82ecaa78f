"""Rows of cells as text; the first row is the head."""

from __future__ import annotations

import shutil
import sys
import textwrap
from itertools import zip_longest

LINE = "-"
WIDTH = 100  # characters of a line that is written to a file or to another program
Rows = list[list[str]]


def line_width() -> int:
    """Characters of a line: those of the terminal, where there is one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH


def columns(rows: Rows, width: int | None = None, keys: int = 2, longest: int = 30, *, fold: bool = True) -> str:
    """Aligned columns, two spaces apart, with a line below the head.

    Where they do not fit the `width`, cells are wrapped to `longest` characters, and columns that still do not fit
    stand in another table below, which repeats the first `keys` columns; they are left out unless `fold`.
    """
    if width is None or sum(_widths(rows)) + 2 * len(rows[0]) - 2 <= width:
        return _aligned(rows, list(range(len(rows[0]))), 1)
    head, *others = [_wrapped(row, longest) for row in rows]
    wrapped = [*head, *(line for row in others for line in row)]
    tables = _folded(_widths(wrapped), width, keys)
    return "\n\n".join(_aligned(wrapped, chosen, len(head)) for chosen in (tables if fold else tables[:1]))


def markdown(rows: Rows) -> str:
    """A table in markdown."""
    head, *rest = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rest))


SPECIAL = {  # in LaTeX, outside of mathematics
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "Δ": r"$\Delta$", "±": r"$\pm$",
}  # fmt: skip


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def latex(rows: Rows, caption: str) -> str:
    """A table for a paper, by the package booktabs; its first two columns are words, and the others on the right."""
    head, *others = [f"    {' & '.join(map(escaped, row))} \\\\" for row in rows]
    aligned = "".join("l" if at < 2 else "r" for at in range(len(rows[0])))
    return "\n".join([
        r"\begin{table}", r"  \centering", f"  \\caption{{{escaped(caption)}}}", f"  \\begin{{tabular}}{{{aligned}}}",
        r"    \toprule", head, r"    \midrule", *others, r"    \bottomrule", r"  \end{tabular}", r"\end{table}",
    ])  # fmt: skip


def _widths(rows: Rows) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]


def _wrapped(row: list[str], longest: int) -> Rows:
    """The lines of a row, its cells wrapped at spaces, and within the first where there are none."""
    cells = [
        textwrap.wrap(cell, longest, break_long_words=not at, break_on_hyphens=False) for at, cell in enumerate(row)
    ]
    return [list(line) for line in zip_longest(*cells, fillvalue="")]


def _folded(widths: list[int], width: int, keys: int) -> list[list[int]]:
    """The indices of the columns of each table."""
    parts = [list(range(min(keys, len(widths))))]
    for column in range(keys, len(widths)):
        if sum(widths[each] + 2 for each in [*parts[-1], column]) - 2 > width and len(parts[-1]) > keys:
            parts.append(list(range(keys)))
        parts[-1].append(column)
    return parts


def _aligned(rows: Rows, chosen: list[int], heads: int) -> str:
    """Some columns of rows, of which the first `heads` stand above the line, and those below are not empty."""
    widths = _widths(rows)
    lines = ["  ".join(row[column].ljust(widths[column]) for column in chosen).rstrip() for row in rows]
    return "\n".join([*filter(None, lines[:heads]), LINE * max(map(len, lines)), *filter(None, lines[heads:])])
