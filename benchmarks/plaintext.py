"""Rows of cells as text; the first row is the head."""

from __future__ import annotations

LINE = "-"
Rows = list[list[str]]


def columns(rows: Rows, width: int | None = None, keys: int = 2) -> str:
    """Aligned columns, two spaces apart, with a line below the head.

    What does not fit a `width` goes on in a table below, which begins with the first `keys` columns again.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n\n".join(_aligned(rows, widths, chosen) for chosen in _folded(widths, width, keys))


def _folded(widths: list[int], width: int | None, keys: int) -> list[list[int]]:
    """The columns of each table."""
    parts = [list(range(min(keys, len(widths))))]
    for column in range(keys, len(widths)):
        too_wide = width is not None and sum(widths[each] + 2 for each in [*parts[-1], column]) - 2 > width
        if too_wide and len(parts[-1]) > keys:
            parts.append(list(range(keys)))
        parts[-1].append(column)
    return parts


def _aligned(rows: Rows, widths: list[int], chosen: list[int]) -> str:
    lines = ["  ".join(row[column].ljust(widths[column]) for column in chosen).rstrip() for row in rows]
    return "\n".join([lines[0], LINE * max(map(len, lines)), *lines[1:]])


def markdown(rows: Rows) -> str:
    """A table in markdown."""
    head, *rest = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rest))
