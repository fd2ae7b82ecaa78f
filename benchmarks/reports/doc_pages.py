"""`make docs`: a page for every game, mechanism and algorithm, made from its docstrings, most with a picture.

The text is a function of the registries, the suites and the reference tables alone, so a test can check that the pages
in docs/ are up to date.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import TypeGuard

import numpy as np
from pydantic.fields import FieldInfo

from ...baselines import MECHANISMS, make_mechanism, mechanism_class
from ...contracts.loop import AgentView
from ...contracts.mechanism import Mechanism
from ...envs import FAMILIES, family, games, make
from ...learning import algorithm_class, algorithms
from ...render.page import picture
from ..analysis.league import league
from ..measures.columns import COLUMNS, Section
from ..runs.forecast import duration, expected_seconds, longest_first, wall_seconds
from ..runs.replay import Replay, frames, play
from ..runs.schedule import Job, jobs
from ..specs.compatibility import why_not
from ..specs.suites import expand, load_suite, suites
from .described import Setting, meaning, principal_settings, settings_of
from .league_table import LEGEND, by_family, games_of, matrix, ranking
from .text_table import markdown

DOCS = Path(__file__).resolve().parents[2] / "docs"
HEIGHT = 300  # pixels of a board, approximately
LARGEST = 40_000  # bytes of a picture
WIDE = 60  # characters of a value that fits in a table
EPISODES = 8  # that are tried until money moves in one
STREAM = 0  # of the keys of the episodes that are pictured
AT_A_TIME = (1, 2, 8, 32, 128)  # runs
BY_HAND = (
    "[Results](results.md): what the reference tables say, suite by suite.",
    "[The league](league.md): all mechanisms in all games, by what they reach and what it costs.",
    "[Reading a table](reading-a-table.md): how its numbers come about.",
    "[Using Paymaster](using.md): all commands, suites of your own, PettingZoo, RLlib and Tune.",
    "[Your own mechanism and game](extending.md): one file each, in the package or outside.",
    "[Glossary](glossary.md): what the terms mean, and the names of columns on disk.",
)
GUIDES = (
    "[A mechanism that learns](guides/a-mechanism-that-learns.md): one file with a mechanism, the principal that "
    "learns for it in plain torch, and what is kept of it.",
    "[Your own learner](guides/your-own-learner.md): agents that learn by a table, and by PPO in one file.",
    "[A learner that RLlib trains](guides/a-learner-that-rllib-trains.md): REINFORCE for the agents by the engine of "
    "the built-in learners, and what such a role says.",
    "[Agents trained elsewhere](guides/agents-trained-elsewhere.md): evaluated, compared, drawn, audited like a run.",
    "[The batched loop](guides/the-batched-loop.md): a thousand environments at a time with your own code.",
)
MONEY = {  # by the word that comes first in a mechanism's docstring
    "No money": "none",
    "Shaping": "shaping",
    "Transfers": "transfers",
    "Payments and taxes": "payments, taxes",
    "Payments": "payments",
}


def pages() -> dict[str, str]:
    """The text of every page, by its path below docs/."""
    found = {"README.md": _index()}
    found["columns.md"] = _columns_page()
    found["suites.md"] = _suites_page()
    found["league.md"] = _league_page()
    found.update({f"games/{name}.md": _game_page(name) for name in FAMILIES})
    found.update({f"mechanisms/{id}.md": _mechanism_page(id) for id in MECHANISMS})
    found.update({f"algorithms/{id}.md": _algorithm_page(id) for id in algorithms()})
    return found


def pictures() -> Iterator[tuple[str, np.ndarray]]:
    """The pictures (H, W, 3), each behind its path below docs/: a moment of an episode in which all act at random."""
    for name in FAMILIES:
        yield f"games/{name}.png", _frame(Mechanism(game=make(_first(name))))
    for id in MECHANISMS:
        if drawable(id):
            yield f"mechanisms/{id}.png", _frame(make_mechanism(id, make(_fitting(id))))


def drawable(id: str) -> bool:
    """Whether a mechanism can be played without learning: it needs neither a principal nor value estimates."""
    cls = mechanism_class(id)
    return not (cls.principal or cls.needs_values or cls.needs_probabilities)


def money_of(id: str) -> str:
    """The kind of money that a mechanism moves, by its docstring, or payments where it has a principal."""
    cls = mechanism_class(id)
    summary = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0]
    said = re.search("|".join(MONEY), summary)
    return MONEY[said.group()] if said else "payments" if cls.principal else "none"


def write(docs: Path) -> None:
    """Write all pages and pictures below `docs`, and remove those of games and mechanisms that no longer exist."""
    made: set[Path] = set()
    for name, text in pages().items():
        made.add(_written(docs / name, text.encode()))
    for name, frame in pictures():
        made.add(_written(docs / name, _png(frame)))
    for folder in ("games", "mechanisms", "algorithms"):
        for path in sorted((docs / folder).iterdir()):
            if path not in made and path.suffix in (".md", ".png"):
                path.unlink()


# Text


def _index() -> str:
    rows = [
        (f"[`{name}`](games/{name}.md)", _summary(family(name)), ", ".join(f"`{preset}`" for preset in _presets(name)))
        for name in FAMILIES
    ]
    offered = [(f"[`{id}`](mechanisms/{id}.md)", _summary(mechanism_class(id)), money_of(id)) for id in MECHANISMS]
    learners = [(f"[`{id}`](algorithms/{id}.md)", _summary(algorithm_class(id))) for id in algorithms()]
    return _page(
        "# Documentation",
        "The [README](../README.md) says what the suite is for, [ARCHITECTURE.md](../ARCHITECTURE.md) how it is built. "
        "`make docs` makes the pages of games, mechanisms, columns and suites from the docstrings: change these, not "
        "the pages.",
        "\n".join(f"- {sentence}" for sentence in BY_HAND),
        "## Games",
        _table(("family", "what it is", "presets"), rows),
        "## Mechanisms",
        "Payments come from a principal, taxes go to it, transfers move between agents, shaping changes wishes and "
        "moves no money.",
        _table(("id", "what it does", "money"), offered),
        "## Algorithms",
        "By which agents come to what they do.",
        _table(("id", "what it is"), learners),
        "What the field has besides stands in [not yet](not-yet.md), with what a row would take.",
        "The metrics by which runs are compared are listed in [columns](columns.md), the suites and what they cost in "
        "[suites](suites.md).",
        "## Guides",
        "They are written by hand, and a test does what they show.",
        "\n".join(f"- {sentence}" for sentence in GUIDES),
    )


def _columns_page() -> str:
    shown = {Section.PLAY: "the first table", Section.AUDIT: "the second table", Section.DISTANCE: "the second table"}
    rows = [
        (f"`{name}`", column.label, column.about, f"`{column.head}`", shown[column.section], column.stored.value)
        for name, column in COLUMNS.items()
    ]
    return _page(
        "# Columns",
        "The metrics that `paymaster compare` shows under a head, and writes to CSV and JSON by name. Each is one "
        "entry in `benchmarks/measures/columns.py`.",
        _table(("name", "metric", "what it is", "head", "where", "in CSV"), rows),
    )


def _league_page() -> str:
    found = league()
    parts = []
    for title, places in by_family(found.places).items():
        parts += [f"## {title}", markdown(matrix(places))]
        for game, standing in games_of(places).items():
            parts += [f"### {game}, {standing[0].learner} agents", markdown(ranking(standing))]
    return _page(
        "# The league",
        "What the reference tables say of all mechanisms in all games; `paymaster league` prints it, beside your own "
        "runs if you name them.",
        LEGEND,
        "Amounts are means of an episode. Payments come from a principal, taxes go to it, transfers move between "
        "agents, shaping moves no money.",
        *parts,
        f"Left out: {'; '.join(found.left_out)}." if found.left_out else "",
    )


def _suites_page() -> str:
    todo = {name: jobs(expand(load_suite(name))) for name in suites()}
    seconds = expected_seconds(list(chain(*todo.values())))  # once, since it reads all tables
    return _page(
        "# Suites",
        "What `paymaster run SUITE` makes and what it costs, by the times that stand in the reference tables "
        "(`results/reference`): core-hours, and the time on the wall with so many runs at a time, on cores of the kind "
        "that made those tables. `paymaster run SUITE --dry-run` says it for what is left to do, by your own runs too. "
        "A machine that has other work takes longer, and so did some runs of the tables.",
        _table(
            ("suite", "what it asks", "runs", "seeds", "core-hours", *(f"{count} at a time" for count in AT_A_TIME)),
            [_suite_row(name, runs, seconds) for name, runs in todo.items()],
        ),
    )


def _suite_row(name: str, todo: Sequence[Job], seconds: Mapping[str, float]) -> tuple[str, ...]:
    suite = load_suite(name)
    told = (f"`{name}`", suite.description, str(len(todo)), str(suite.seeds))
    if any(job.id not in seconds for job in todo):
        return (*told, *["not known"] * (1 + len(AT_A_TIME)))
    ordered = longest_first(todo, seconds)
    walls = (duration(wall_seconds(ordered, seconds, count)) for count in AT_A_TIME)
    return (*told, f"{sum(seconds[job.id] for job in todo) / 3600:.1f}", *walls)


def _game_page(name: str) -> str:
    cls = family(name)
    dilemma = inspect.cleandoc(inspect.getmodule(cls).__doc__ or "")
    presets = [(f"`{name}/{preset}`", _changes(rules)) for preset, rules in _presets(name).items()]
    blocks = [
        _block(f"{name}/{preset}", rule, value)
        for preset, rules in _presets(name).items()
        for rule, value in rules.items()
        if _is_map(value)
    ]
    return _page(
        f"# {name}",
        dilemma,
        f"![`{_first(name)}`, played at random]({name}.png)",
        "## What happens",
        _doc(cls),
        "## Presets",
        _table(("id", "rules that differ from the defaults"), presets),
        *blocks,
        "## Rules",
        "To set one: `paymaster.make(id, rule=value)`, `rules:` in a suite, `--set rule=value` on the command line.",
        *_parameters(cls),
    )


def _mechanism_page(id: str) -> str:
    cls = mechanism_class(id)
    shown = f"![on `{_fitting(id)}`, where all act at random]({id}.png)" if drawable(id) else ""
    parameters = _parameters(cls)
    return _page(
        f"# {id}",
        f"Money: {money_of(id)}." + (f" Needs a principal (`{_principal(cls)}`)." if cls.principal else ""),
        _doc(cls),
        shown,
        "## Parameters",
        *(parameters or ["None."]),
        *_settings("Settings of its principal", "principal", principal_settings(id)),
    )


def _algorithm_page(id: str) -> str:
    cls = algorithm_class(id)
    return _page(f"# {id}", _doc(cls), *_settings("Settings", "algorithm", settings_of(cls)))


def _settings(head: str, section: str, settings: Mapping[str, Setting]) -> list[str]:
    """A section with a table of settings; nothing where there are none."""
    if not settings:
        return []
    rows = [
        (f"`{name}`", f"`{json.dumps(one['default'])}`" if "default" in one else "required", one["help"])
        for name, one in settings.items()
    ]
    return [
        f"## {head}",
        f"On the command line `--set {section}.NAME=VALUE`, in a suite "
        + ("`principal:`." if section == "principal" else "`settings:`, by algorithm."),
        _table(("name", "default", "what it is"), rows),
    ]


def _principal(cls: type[Mechanism]) -> str:
    """The role that decides for a mechanism: its id, or the name of its class."""
    return cls.principal.__name__ if isinstance(cls.principal, type) else cls.principal


def _parameters(cls: type) -> list[str]:
    """A table of the fields of a configuration with their defaults; below it, values that are too wide for it."""
    rows, blocks = [], []
    for name, field in _fields(cls).items():
        if name == "game":
            continue
        value = field.get_default(call_default_factory=True, validated_data={})
        required = field.is_required() or value is MISSING
        if not required and _is_map(value):
            blocks.append(_block("default", name, value))
        rows.append((f"`{name}`", "required" if required else _value(value), meaning(cls, name)))
    return [_table(("name", "default", "what it is"), rows), *blocks] if rows else []


def _fields(cls: type) -> Mapping[str, FieldInfo]:
    """The fields of a class that is itself a configuration; none of any other."""
    return vars(cls).get("__pydantic_fields__", {})


def _summary(cls: type) -> str:
    """The first sentence of a docstring."""
    first = " ".join(_doc(cls).partition("\n\n")[0].split())
    return re.split(r"(?<=[^ .])\. ", first)[0].rstrip(".") + "."


def _doc(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _presets(name: str) -> Mapping[str, Mapping[str, object]]:
    return family(name).presets


def _changes(rules: Mapping[str, object]) -> str:
    return ", ".join(f"`{rule}` {_value(value)}" for rule, value in rules.items()) or "none"


def _value(value: object) -> str:
    """A value as code; where it is too wide, a reference to its place or its beginning."""
    if _is_map(value):
        return "below"
    text = repr(value)
    return f"`{text}`" if len(text) <= WIDE else f"`{text[: WIDE - 1]}\u2026`"


def _is_map(value: object) -> TypeGuard[tuple[str, ...]]:
    """Whether a value is rows of text that are too wide for a table."""
    return isinstance(value, tuple) and all(isinstance(row, str) for row in value) and len(repr(value)) > WIDE


def _block(whose: str, name: str, rows: Iterable[str]) -> str:
    return "\n".join([f"`{name}`, {whose}:", "", "```", *rows, "```"])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def _page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


# Pictures


def _first(name: str) -> str:
    return f"{name}/{next(iter(_presets(name)))}"


def _fitting(id: str) -> str:
    """The first game that the mechanism can be played in."""
    return next(game for game in games() if not why_not(id, make(game)))


def _frame(mechanism: Mechanism) -> np.ndarray:
    """The picture of the moment at which most money moves, or of the middle of an episode where none ever does."""
    for seed in range(1 if type(mechanism).settle is Mechanism.settle else EPISODES):
        replay = _at_random(mechanism, seed)
        moved = np.abs([replay.payments, replay.transfers, replay.shaping, replay.taxes]).sum(axis=(0, 2))
        if moved.any():
            break
    moment = int(moved.argmax()) + 1 if moved.any() else (len(moved) + 1) // 2
    frame = next(islice(frames(mechanism.played, replay), moment, None))
    return picture(frame.scene, panel=frame.panel, height=HEIGHT)


def _at_random(mechanism: Mechanism, seed: int) -> Replay:
    game, dice = mechanism.played, np.random.default_rng(seed)

    def policy(seen: AgentView) -> np.ndarray:
        return dice.integers(len(game.action_names), size=(1, len(game.agents)))

    return play(game, mechanism, None, policy, seed=seed, stream=STREAM)


def _png(frame: np.ndarray) -> bytes:
    """A picture as a PNG file of at most `LARGEST` bytes, in fewer colours if necessary."""
    from PIL import Image

    for colours in (None, 256, 64, 16):
        file, image = BytesIO(), Image.fromarray(frame)
        (image.quantize(colours) if colours else image).save(file, format="PNG", optimize=True)
        if file.tell() <= LARGEST:
            break
    return file.getvalue()


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
