"""The pages in docs/ are what the docstrings say now."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import fields

import pytest

from paymaster.baselines import MECHANISMS, mechanism_class
from paymaster.benchmarks.reports.doc_pages import BY_HAND, DOCS, GUIDES, LARGEST, drawable, money_of, pages
from paymaster.envs import FAMILIES, family, games

PAGES = pages()
REFERENCE = DOCS.parent / "results" / "reference"
GLOSSARY = "glossary.md"  # written by hand, as the guides are
NOT_YET = "not-yet.md"  # likewise
checkout = pytest.mark.skipif(not DOCS.exists(), reason="needs the checkout")


@checkout
def test_the_pages_are_what_the_docstrings_say() -> None:
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    stale = {name for name, text in PAGES.items() if name in there and (DOCS / name).read_text() != text}
    by_hand = {NOT_YET, *re.findall(r"\]\((.*?)\)", " ".join((*BY_HAND, *GUIDES)))}
    missing, odd = PAGES.keys() - there, there - PAGES.keys() - by_hand
    assert not stale | missing | odd, "the docstrings have changed; run `make docs` and commit docs/"


@checkout
def test_every_picture_that_is_shown_is_there_and_small() -> None:
    shown = {f"games/{name}.png" for name in FAMILIES} | {f"mechanisms/{id}.png" for id in MECHANISMS if drawable(id)}
    there = {path.relative_to(DOCS).as_posix(): path for path in DOCS.rglob("*.png")}
    assert there.keys() == shown, "run `make docs` and commit docs/"
    assert not {name: path.stat().st_size for name, path in there.items() if path.stat().st_size > LARGEST}
    linked = {path.replace(".md", ".png") for path, text in PAGES.items() if re.search(r"!\[.*\]\(.*\.png\)", text)}
    assert linked == shown


@checkout
def test_the_glossary_is_linked_and_in_order_and_names_what_is_stored() -> None:
    text = (DOCS / GLOSSARY).read_text()
    terms = re.findall(r"^\*\*(.+?)\*\*: ", text, flags=re.MULTILINE)
    assert terms == sorted(terms, key=str.casefold)
    assert len(terms) == len(set(terms)) > 60
    assert f"]({GLOSSARY})" in PAGES["README.md"]
    assert f"](docs/{GLOSSARY})" in (DOCS.parent / "README.md").read_text()
    rows = [row for table in REFERENCE.glob("*.csv") for row in csv.DictReader(table.read_text().splitlines())]
    columns = re.findall(r"^\| .+? \| `(\w+)`.*? \| column", text, flags=re.MULTILINE)
    assert columns
    assert set(columns) <= {name for row in rows for name in row}
    stored = " ".join(re.findall(r"^\| .+? \| (.+?) \| setting \|$", text, flags=re.MULTILINE))
    known = {key for row in rows for key in keys(json.loads(row["settings"]))}
    assert set(re.findall(r"`(\w+)", stored)) <= known


def keys(values: object) -> Iterator[str]:
    """The keys of JSON values, at any depth."""
    if isinstance(values, dict):
        yield from values
    for value in values.values() if isinstance(values, dict) else values if isinstance(values, list) else ():
        yield from keys(value)


def test_a_page_tells_every_rule_preset_and_parameter() -> None:
    for name in FAMILIES:
        text = PAGES[f"games/{name}.md"]
        assert all(f"| `{field.name}` |" in text for field in fields(family(name)))
        assert all(f"`{id}`" in text for id in games() if id.startswith(f"{name}/"))
    for id in MECHANISMS:
        names = [field.name for field in fields(mechanism_class(id)) if field.name != "game"]
        assert all(f"| `{name}` |" in PAGES[f"mechanisms/{id}.md"] for name in names)
        assert f"](mechanisms/{id}.md)" in PAGES["README.md"]


def test_every_field_has_a_docstring() -> None:
    told = [row for text in PAGES.values() for row in text.splitlines() if row.startswith("| `")]
    assert told
    assert not [row for row in told if row.endswith("|  |")]


def test_the_money_is_as_the_docstring_says() -> None:
    kinds = {"selfish": "none", "advice": "none", "joint": "shaping", "constant-share": "transfers"}
    kinds |= {"funded-share": "payments", "principal-dqn": "payments", "drawn-contract": "transfers"}
    assert {id: money_of(id) for id in kinds} == kinds
