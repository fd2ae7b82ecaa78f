"""An HTML report: it shows what `compare` shows, injects nothing from runs, stays small, and works in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paymaster.benchmarks import files
from paymaster.benchmarks.analysis.comparison import Comparison, compare
from paymaster.benchmarks.cli.app import main
from paymaster.benchmarks.cli.report import report_and_write
from paymaster.benchmarks.measures.columns import PAYMENT, WELFARE
from paymaster.benchmarks.reports import html_data, html_report
from paymaster.benchmarks.reports.comparison_rows import audited_rows, group_rows
from paymaster.benchmarks.reports.comparison_table import notes, published_rows
from paymaster.benchmarks.reports.curves import line_curve
from paymaster.benchmarks.runs.replay import frames
from paymaster.core.config import UsageError

from .. import unlearned
from . import browser

HOSTILE = "</script ></script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{script}}<!--"
DANGEROUS = "\x1b[31m\u202e\ud800"  # what a terminal obeys, a reversal of direction, half a character
SUITES: tuple[dict[str, Any], ...] = (
    {
        "game": "escape_room/2-1", "steps": 200, "episodes": 8, "seeds": 3, "principal": {"steps": 200},
        "runs": [{"mechanism": "selfish"}, {"mechanism": "principal-dqn"}, {"mechanism": "constant-share"}],
    },
    {
        "game": "matrix/iterated-prisoners-dilemma", "rules": {"horizon": 4}, "steps": 200, "episodes": 8, "seeds": 2,
        "runs": [{"mechanism": "selfish"}, {"mechanism": "funded-share", "parameters": {"share": 0.25}}],
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs in which nothing was learned."""
    here = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
        patch.setattr("paymaster.learning.phases", unlearned, raising=False)
        for at, suite in enumerate(SUITES):
            (here / f"suite-{at}.yaml").write_text(json.dumps(suite))
            with pytest.raises(SystemExit) as exit:
                main(["run", f"suite-{at}.yaml", "--workers", "1", "--out", "runs"])
            assert not exit.value.code
    return here / "runs"


@pytest.fixture(scope="module")
def compared(runs: Path) -> Comparison:
    return compare(runs)


@pytest.fixture(scope="module")
def page(runs: Path, compared: Comparison) -> str:
    return html_report.html_report(runs, compared)


@pytest.fixture
def own(runs: Path, tmp_path: Path) -> Path:
    """A copy of the runs, to be spoiled."""
    return Path(shutil.copytree(runs, tmp_path / "own"))


class Read(HTMLParser):
    """What a page holds: its elements, its tables, its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.texts.setdefault(tag, []).append("")
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self.open:
            return
        self.texts[self.open[-1]][-1] += data
        if "th" in self.open or "td" in self.open:
            self.tables[-1][-1][-1] += data

    @property
    def data(self) -> Any:
        (found,) = (
            text for (_, attributes), text in zip(
                [each for each in self.tags if each[0] == "script"], self.texts["script"], strict=True
            ) if attributes.get("type") == "application/json"
        )  # fmt: skip
        return json.loads(found)


def rows_of(table: list[list[str]]) -> list[list[str]]:
    """The rows of a table without the titles of its bodies."""
    return [row for row in table if len(row) > 1]


# What it shows


def test_tables_are_those_of_compare(page: str, compared: Comparison) -> None:
    tables = [rows_of(table) for table in Read(page).tables]
    for group in compared.groups:
        assert group_rows(group) in tables
        assert len(audited := audited_rows(group)) > 1
        assert audited in tables
    assert published_rows(compared.published) in tables


def test_exact_rows_and_published_numbers_stand_apart(page: str, compared: Comparison) -> None:
    for group, section in zip(compared.groups, re.findall(r'<section id="game-.*?</section>', page, re.S), strict=True):
        (exact,) = re.findall(r'<tbody class="exact">(.*?)</tbody>', section, re.S)
        assert len(re.findall("<tr>", exact)) == len(group.given) > 0
        assert not any(f">{line.name}<" in exact for line in group.lines)
        assert not any(each.source in section for each in compared.published)
    assert page.index('class="published"') > page.rindex('class="game"')


def test_notes_are_those_of_compare(page: str, compared: Comparison) -> None:
    told = Read(page).texts
    for note in notes(compared.groups[:1], everything=True):
        assert {head.partition(": ")[0] for head in note.heads} <= {*told["dt"]}
        assert {head.partition(": ")[2] for head in note.heads} <= {*told["dd"]}


def test_every_run_tells_its_spec_and_how_it_was_made(page: str, runs: Path) -> None:
    read = Read(page)
    specs, cells = (
        [json.loads(text) for text in read.texts["pre"]],
        {cell for t in read.tables for r in t for cell in r},
    )
    for folder in files.runs(runs):
        about = json.loads((folder / files.RUN).read_text())
        assert {**about["spec"], "seed": 0} in specs
        assert about["run"] in cells
        assert about["date"] in cells
        assert about["machine"]["cpu"] in read.texts["dd"]
        assert any(f"numpy {about['versions']['numpy']}" in text for text in read.texts["dd"])
    assert {each["command"] for each in files.commands(runs)} <= {*read.texts["code"]}


def test_curves_and_points_are_those_of_the_pictures(page: str, compared: Comparison, runs: Path) -> None:
    for group, game in zip(compared.groups, Read(page).data["games"], strict=True):
        for line, drawn in zip(group.lines, game["series"], strict=True):
            assert drawn["label"] == line.label
            found = line_curve(line, WELFARE, [runs / row.run for row in line.seeds.values()])
            assert found is not None
            assert drawn["curves"][0]["steps"] == [round(step) for step in found.steps]
            assert drawn["curves"][0]["mean"] == pytest.approx(np.nanmean(found.seeds, axis=0).tolist(), rel=1e-5)
            assert drawn["payment"][1] == pytest.approx(line.estimate(PAYMENT).mean, rel=1e-5, abs=1e-9)
            assert drawn["welfare"][1] == pytest.approx(line.estimate(WELFARE).mean, rel=1e-5)
        looks = [(each["colour"], each["dash"], each["mark"]) for each in game["series"]]
        assert len({*looks}) == len(looks)


def test_bands_are_intervals_from_three_seeds_on(page: str) -> None:
    three, two = ([each["curves"][0] for each in game["series"]] for game in Read(page).data["games"])
    if len(three) < len(two):
        three, two = two, three
    for curve in three:
        assert all(
            low <= mean <= high for low, mean, high in zip(curve["low"], curve["mean"], curve["high"], strict=True)
        )
    for curve in two:
        for low, mean, high in zip(curve["low"], curve["mean"], curve["high"], strict=True):
            assert mean == pytest.approx((low + high) / 2, rel=1e-4, abs=1e-4)


def test_replays_are_those_that_were_recorded(page: str, runs: Path) -> None:
    for game in Read(page).data["games"]:
        assert len(game["replays"]) == len(game["series"])
        assert game["missing"] == []
        for replay in game["replays"]:
            assert len(replay["moments"]) == replay["steps"] + 1
    (escape,) = (game for game in Read(page).data["games"] if len(game["series"]) == 3)
    assert escape["replays"][0]["label"] == "principal-dqn/dqn"
    assert {"advised", "paid", "advised next", "for"} <= {*escape["replays"][0]["head"]}
    (folder,) = (each for each in files.runs(runs) if "principal-dqn/dqn/s0" in str(each))
    shown, on_board = frames(*html_data.of_run(folder)), set[int]()
    for frame, moment in zip(shown, escape["replays"][0]["moments"], strict=True):
        on_board = on_board - {*moment.get("gone", [])} | {*moment.get("come", [])}
        drawn = [escape["replays"][0]["sprites"][number] for number in on_board]
        assert sorted(drawn) == sorted([*sprite] for sprite in frame.scene.sprites)
        assert moment["rows"] == [[*row] for row in frame.panel.rows]
        assert moment["caption"] == frame.scene.caption


# What it lets in


def test_the_policy_forbids_the_network_and_foreign_scripts(page: str) -> None:
    read = Read(page)
    (policy,) = (a["content"] for tag, a in read.tags if tag == "meta" and a.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in str(policy)
    assert sum(tag == "script" for tag, _ in read.tags) == 2
    named = [name for _, attributes in read.tags for name in attributes]
    assert not {"src", "srcset", "style", "action"} & {*named}
    assert not [name for name in named if name.startswith("on")]
    assert all(str(a["href"]).startswith("#") for tag, a in read.tags if tag == "a")
    assert not [tag for tag, _ in read.tags if tag in ("link", "img", "iframe", "object", "base", "form")]
    assert "http://www.w3.org/2000/svg" in page
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", re.sub(r"<t[dh].*?</t[dh]>", "", page))


def test_our_scripts_make_no_markup_of_texts() -> None:
    for name in html_report.SCRIPTS:
        script = html_report._asset(name)
        assert not re.findall(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(", script
        )
        assert "</script" not in script
        assert "<!--" not in script


@pytest.mark.parametrize("where", ["name", "spec", "machine", "learner", "terms", "command"])
def test_what_a_run_says_is_never_markup(own: Path, page: str, where: str) -> None:
    """Names, settings, machines, terms and commands that try to be scripts change no element of the page."""
    for folder in files.runs(own):
        about = json.loads((folder / files.RUN).read_text())
        if where == "name":
            about["name"] += HOSTILE
        elif where == "spec":
            about["spec"] = {HOSTILE: HOSTILE + DANGEROUS}
        elif where == "machine":
            about |= {"machine": {"cpu": HOSTILE + DANGEROUS, HOSTILE: 1}, "commit": HOSTILE, "plugins": [HOSTILE]}
            about |= {"date": HOSTILE + DANGEROUS, "versions": {HOSTILE: DANGEROUS}}
        elif where == "learner":
            about["resolved"]["algorithm"] = HOSTILE
        elif where == "terms":
            with np.load(folder / "replay.npz") as arrays:
                kept = dict(arrays)
            kept["terms"] = np.full(kept["terms"].shape, HOSTILE + DANGEROUS.replace("\ud800", ""))
            np.savez_compressed(folder / "replay.npz", **kept)
        (folder / files.RUN).write_text(json.dumps(about))
    if where == "command":
        line = json.dumps({"command": HOSTILE + DANGEROUS, "date": HOSTILE})
        (own / files.MARKER).write_text(f"{line}\n" * len(files.commands(own)))
    spoiled = html_report.html_report(own, compare(own))
    assert HOSTILE not in spoiled
    assert not set("\x1b\u202e") & set(spoiled)
    spoiled.encode()
    assert not set("<>&") & set(spoiled.partition('id="data">')[2].partition("</script>")[0])
    clean, read = Read(page), Read(spoiled)
    assert sum(tag == "script" for tag, _ in read.tags) == 2
    assert {tag for tag, _ in read.tags} <= {tag for tag, _ in clean.tags}
    assert {name for _, a in read.tags for name in a} == {name for _, a in clean.tags for name in a}
    assert read.texts["script"][1] == clean.texts["script"][1]
    assert "alert(1)" in json.dumps(read.data) + "".join(map("".join, read.texts.values()))


def test_what_is_nested_deeply_is_left_out(own: Path) -> None:
    first, second, *_ = files.runs(own)
    for folder, name in ((first, "spec"), (second, "machine")):
        about = (folder / files.RUN).read_text()
        nested = '{"in":' * 700 + "0" + "}" * 700
        (folder / files.RUN).write_text(json.dumps({**json.loads(about), name: "HERE"}).replace('"HERE"', nested))
    page = html_report.html_report(own, compare(own))
    assert len(Read(page).tables) > 4


def test_a_hostile_folder_is_named_as_it_is(own: Path) -> None:
    hostile = own.rename(own.with_name("<img src=x onerror=alert(1)>"))
    page = html_report.html_report(hostile, compare(hostile))
    assert "<img" not in page
    assert Read(page).texts["h1"] == [hostile.name]


def test_a_damaged_replay_is_named_and_the_rest_is_shown(own: Path) -> None:
    cut, emptied, twisted, *_ = files.runs(own)
    (cut / "replay.npz").write_bytes((cut / "replay.npz").read_bytes()[:300])
    (emptied / "replay.npz").write_bytes(b"")
    with np.load(twisted / "replay.npz") as arrays:
        kept = dict(arrays)
    kept["actions"] = np.full(kept["actions"].shape, 99)
    np.savez_compressed(twisted / "replay.npz", **kept)
    spoiled = Read(html_report.html_report(own, compare(own))).data["games"]
    assert sum(len(game["missing"]) for game in spoiled) == sum(
        str(run).split("/s")[-1].startswith("0") for run in (cut, emptied, twisted)
    )
    assert all(game["series"] for game in spoiled)


# How large it is


def test_it_is_small(page: str) -> None:
    assert 50_000 < len(page.encode()) < 500_000


def test_replays_keep_to_their_room(runs: Path, compared: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_report, "REPLAYS", 6_000)
    page = html_report.html_report(runs, compared)
    games = Read(page).data["games"]
    assert all(len(json.dumps(game["replays"])) < 4_500 for game in games)
    assert all(game["replays"] for game in games)
    assert any("more replays are left out" in sentence for game in games for sentence in game["missing"])


def test_a_report_that_would_be_too_large_is_refused(
    runs: Path, compared: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_report, "LIMIT", 60_000)
    with pytest.raises(UsageError, match=r"13 runs: give a folder with fewer runs"):
        html_report.html_report(runs, compared)


def test_specs_keep_to_their_room(runs: Path, compared: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paymaster.benchmarks.reports.html_body.SPECS", 0)
    assert "stand in each run.json" in html_report.html_report(runs, compared)


# What is refused


def refused(arguments: list[object], *parts: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["report", *map(str, arguments)])
    told = capsys.readouterr()
    assert exit.value.code == 2
    assert told.out == ""
    assert len(told.err.strip().splitlines()) == 1, told.err
    for part in parts:
        assert part in told.err


def test_a_bad_folder_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("a,b")
    (tmp_path / "empty").mkdir()
    refused(["nowhere"], "nowhere", "folder of runs", "runs/quick", capsys=capsys)
    refused(["table.csv"], "table.csv", "folder of runs", capsys=capsys)
    refused(["empty"], "empty", "no finished run", capsys=capsys)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "run.json").write_text("[" * 100_000)
    refused(["deep"], "deep/run.json", "nothing is left to compare", capsys=capsys)
    assert not (tmp_path / "report.html").exists()


def test_only_an_earlier_report_is_replaced(
    runs: Path, tmp_path: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, link, ours = tmp_path / "thesis.html", tmp_path / "link.html", tmp_path / "report.html"
    theirs.write_text("<p>precious")
    ours.write_text(page)
    link.symlink_to(ours)
    (tmp_path / "folder.html").mkdir()
    refused([runs, "--out", theirs], "thesis.html", "not an earlier report", "another name", capsys=capsys)
    refused([runs, "--out", link], "link.html", "no regular file", capsys=capsys)
    refused([runs, "--out", tmp_path / "folder.html"], "no regular file", capsys=capsys)
    refused([runs, "--out", tmp_path / "report.txt"], "report.txt", ".html", capsys=capsys)
    refused([runs, "--out", tmp_path / "no" / "where.html"], "no folder", capsys=capsys)
    refused([runs, "--out", tmp_path / f"{'n' * 300}.html"], "cannot be written", capsys=capsys)
    assert theirs.read_text() == "<p>precious"
    assert ours.read_text() == page
    assert report_and_write(runs, ours, None) == 0
    assert "MB" in capsys.readouterr().out
    assert ours.read_text() != page  # the time, at least the command
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "folder.html",
        "link.html",
        "report.html",
        "thesis.html",
    ]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody may write to")
def test_a_folder_that_nobody_may_write_to(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused([runs, "--out", "/proc/self/report.html"], "/proc/self", "cannot be written", capsys=capsys)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_locked(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused([runs, "--out", tmp_path / "locked" / "report.html"], "cannot be written", capsys=capsys)


def test_against_is_that_of_compare(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused([runs, "--against", "selfsh", "--out", tmp_path / "a.html"], "selfsh", "selfish", capsys=capsys)


# How it looks

PAIRS = [(ink, ground) for ink in ("ink", "soft", "accent") for ground in ("paper", "raised", "tint")]


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_texts_have_contrast(scheme: int) -> None:
    style = html_report._asset("report.css")
    block = re.findall(r":root \{(.*?)\}", style, re.S)[scheme]
    colours = dict(re.findall(r"--(\w+): (#\w{6});", block))
    for ink, ground in PAIRS:
        light, dark = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.fixture(scope="module")
def shown() -> Iterator[browser.Page]:
    with ExitStack() as open:
        try:
            page = open.enter_context(browser.browser())
        except (AssertionError, OSError) as error:
            pytest.skip(f"Chromium does not start: {error}")
        yield page


@pytest.fixture
def opened(shown: browser.Page, page: str, tmp_path: Path) -> Callable[..., browser.Page]:
    """Open the report, or another page, in a browser."""

    def open(text: str = page, width: int = 1280, *, dark: bool = False) -> browser.Page:
        (tmp_path / "report.html").write_text(text)
        shown.requested.clear()
        shown.errors.clear()
        shown.open(tmp_path / "report.html", width, dark=dark)
        return shown

    return open


needs_browser = pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
TEXTS = "[...document.querySelectorAll({!r})].map((each) => each.textContent)"


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_without_a_network_or_an_error(
    opened: Callable[..., browser.Page], width: int, dark: bool, tmp_path: Path
) -> None:
    shown = opened(width=width, dark=dark)
    assert shown.requested == [(tmp_path / "report.html").as_uri()]
    assert shown.errors == []
    assert shown.run("document.querySelectorAll('.curves figure > svg').length") >= 2
    assert shown.run("document.querySelectorAll('.frontier figure > svg').length") >= 1
    assert shown.run("document.querySelectorAll('.replays canvas').length") == 2
    assert shown.run("document.documentElement.scrollWidth <= innerWidth")


@needs_browser
def test_heads_sort_and_a_field_filters(opened: Callable[..., browser.Page], compared: Comparison) -> None:
    shown, group = opened(), compared.groups[0]
    head, *rows = group_rows(group)
    column = head.index("payment")
    paid = {row[0]: float(row[column]) for row in rows[len(group.given) :]}
    table = "document.querySelector('#game-0 table')"
    names = (
        f"[...{table}.tBodies[1].querySelectorAll('tr:not(.kind):not([hidden]) th')].map((each) => each.textContent)"
    )
    exact = names.replace("tBodies[1]", "tBodies[0]")
    cell = f"{table}.tHead.rows[0].cells[{column}]"
    assert shown.run(names) == [*paid]
    shown.run(f"{cell}.firstChild.focus()")
    for direction, sign in (("descending", -1), ("ascending", 1)):
        shown.press("Enter")
        assert shown.run(f"{cell}.ariaSort") == direction
        assert [paid[name] for name in shown.run(names)] == sorted(paid.values(), key=lambda value: sign * value)
        unpaid = [row[0] for row in rows[: len(group.given)] if not row[column]]
        assert {*shown.run(exact)} == {row[0] for row in rows[: len(group.given)]}
        assert shown.run(exact)[-len(unpaid) :] == unpaid  # empty cells come last in either direction
    shown.press("Enter")
    assert shown.run(names) == [*paid]
    field = "document.querySelector('#game-0 input[type=search]')"
    shown.run(f"{field}.value = 'PRINCIPAL-dqn'; {field}.dispatchEvent(new Event('input'))")
    assert shown.run(names) == [name for name in paid if "principal-dqn" in name]
    assert shown.run(exact) == []
    assert "1 of" in shown.run("document.querySelector('#game-0 .tools [role=status]').textContent")


@needs_browser
def test_values_are_told_where_the_focus_is(opened: Callable[..., browser.Page]) -> None:
    shown = opened()
    shown.run("document.querySelector('.curves figure > svg').focus()")
    shown.press("Home")
    told = shown.run(TEXTS.format(".curves figure .tip"))[0]
    assert re.search(r"[\d,]+ steps", told)
    assert "selfish/dqn" in told
    assert re.search(r"-?\d+\.\d\d \[-?\d+\.\d\d, -?\d+\.\d\d\]", told)
    shown.run("document.querySelector('.frontier .dot').focus()")
    assert shown.run("document.querySelector('.frontier .tip').hidden") is False
    assert "payment" in shown.run("document.querySelector('.frontier .dot').getAttribute('aria-label')")
    shown.run("document.querySelector('.legend button').click()")
    assert shown.run("document.querySelector('.legend button').ariaPressed") == "false"


@needs_browser
def test_a_replay_plays(opened: Callable[..., browser.Page]) -> None:
    shown = opened()
    first = "document.querySelector('.player')"
    pixels = f"{first}.querySelector('canvas').toDataURL()"
    start = shown.run(pixels)
    shown.run(f"{first}.querySelector('input[type=range]').focus()")
    shown.press("ArrowRight")
    assert shown.run(f"{first}.querySelector('canvas').ariaLabel").startswith("The board after 1 of 5 steps")
    assert "step 1 of" in shown.run(f"{first}.querySelector('ul').textContent")
    assert shown.run(pixels) != start
    shown.run(f"{first}.querySelector('[title=\"To the start\"]').click()")
    assert shown.run(pixels) == start
    shown.run(
        f"{{ const pace = {first}.querySelector('select'); pace.value = 16; pace.dispatchEvent(new Event('change')); }}"
    )
    shown.run(f"{first}.querySelector('[title=Play]').click()")
    shown.run("new Promise((done) => setTimeout(done, 600))")
    assert int(shown.run(f"{first}.querySelector('input[type=range]').value")) >= 2
    assert shown.errors == []


@needs_browser
def test_hostile_names_run_nothing(opened: Callable[..., browser.Page], own: Path) -> None:
    for folder in files.runs(own):
        about = json.loads((folder / files.RUN).read_text())
        about["name"] += HOSTILE
        (folder / files.RUN).write_text(json.dumps(about))
    shown = opened(html_report.html_report(own, compare(own)))
    assert shown.errors == []
    assert len(shown.requested) == 1
    assert shown.run("document.images.length") == 0
    assert any(HOSTILE in text for text in shown.run(TEXTS.format("tbody th")))
    assert any(HOSTILE in text for text in shown.run(TEXTS.format(".legend button")))


@needs_browser
def test_a_script_that_got_in_would_not_run(opened: Callable[..., browser.Page], page: str) -> None:
    bad = "<script>document.title = 'broken in'</script><img src=x onerror=\"document.title = 'broken in'\">"
    shown = opened(page.replace("</main>", f"{bad}</main>").replace("<main>", f'{bad}<main style="color: red">'))
    assert shown.run("document.title") != "broken in"
    assert shown.requested[1:] == [] or all("x" in each for each in shown.requested[1:])
    assert sum("Content Security Policy" in error for error in shown.errors) >= 4


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize("name", html_report.SCRIPTS)
def test_scripts_parse(name: str) -> None:
    path = Path(html_report.__file__).parent / "assets" / name
    subprocess.run(["node", "--check", str(path)], check=True)
