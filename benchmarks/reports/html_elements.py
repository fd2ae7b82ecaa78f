"""Elements of an HTML report. Whatever they say is set as a text or an attribute, so nothing from a run is markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from xml.etree import ElementTree

from .text_table import Rows

Element = ElementTree.Element

NUMBER = re.compile(r"[+-]?[\d.,]+%?")


def printable(text: str) -> str:
    """A text without what a terminal or a browser would obey: control characters, reversals, lone surrogates."""
    if text.isprintable():
        return text
    kept = (c if c.isprintable() or c == "\n" else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return "".join(kept)


def element(tag: str, *children: str | Element | None, **attributes: str) -> Element:
    """An element; `class_` and `data_chart` stand for the attributes class and data-chart."""
    named = {name.rstrip("_").replace("_", "-"): printable(value) for name, value in attributes.items()}
    made = ElementTree.Element(tag, named)
    last: Element | None = None
    for child in children:
        if isinstance(child, str) and last is None:
            made.text = (made.text or "") + printable(child)
        elif isinstance(child, str) and last is not None:
            last.tail = (last.tail or "") + printable(child)
        elif child is not None and not isinstance(child, str):
            made.append(child)
            last = child
    return made


def words(text: str) -> Iterator[str | Element]:
    """A text whose parts between back quotes are code."""
    for at, part in enumerate(text.split("`")):
        yield element("code", part) if at % 2 else part


def table(rows: Rows, caption: str, *, exact: int = 0, filtered: bool = True) -> Element:
    """A table in a box that scrolls; its first rows are `exact` ones, and stand in a body of their own."""
    head, *others = rows
    numeric = [_numeric(row[column] for row in others) for column in range(len(head))]
    bodies = [("Exact solutions", others[:exact]), ("Learned" if exact else "", others[exact:])]
    made = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *(element("th", name, scope="col") for name in head))),
        *(_rows(kind, body, numeric) for kind, body in bodies if body),
    )
    box = element("div", made, class_="box", tabindex="0", role="region", aria_label=caption)
    return element("div", box, class_="table", **({"data_filtered": ""} if filtered else {}))


def _rows(kind: str, rows: Rows, numeric: Sequence[bool]) -> Element:
    made = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell, class_="number" if right else "text")
              for cell, right in zip(row[1:], numeric[1:], strict=True)),
        )
        for row in rows
    ]  # fmt: skip
    if kind:
        title = element("th", element("span", kind), colspan=str(len(numeric)), scope="rowgroup")
        made.insert(0, element("tr", title, class_="kind"))
    return element("tbody", *made, class_="exact" if kind.startswith("Exact") else "learned")


def _numeric(cells: Iterable[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(NUMBER.fullmatch(cell) for cell in filled)
