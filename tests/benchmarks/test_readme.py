"""Every number that is reported of a suite is in its reference table, and every verdict is the corrected one.

What README reports stands between "What comes out" and "Use it"; all of it stands in `docs/results.md`. Each part names
the suites that it is about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from paymaster.benchmarks.analysis import comparison
from paymaster.benchmarks.analysis.comparison import Comparison
from paymaster.benchmarks.analysis.groups import Group, Line
from paymaster.benchmarks.measures.columns import COLUMNS, PAYMENT, WELFARE
from paymaster.benchmarks.measures.exact_solutions import ALPHA, PRINCIPAL, Exact, exact
from paymaster.benchmarks.provenance import REFERENCE, ROOT
from paymaster.core.config import to_json
from paymaster.envs import make
from paymaster.envs.game import Game

README, RESULTS = ((ROOT / page).read_text() for page in ("README.md", "docs/results.md"))
NUMBER = r"[+-]?\d+(?:\.\d+)?"
INTERVAL = re.compile(rf"({NUMBER})\s\[({NUMBER}), ({NUMBER})\](?:\s(better|worse|n\.s\.))?")
VALUE = re.compile(r"(?<![\w.,[+-])\d+\.\d\d(?![\w%.])")  # a welfare or a payment, to two digits
SHARE = re.compile(r"(?<![\d.])\d+(?:\.\d)?%")
SUITE = re.compile(r"`paymaster run ([\w-]+)`")
OTHERS = {  # values that no reference table holds, and whence they are
    "0.05", "0.02", "0.005",  # margins of contracts
    "0.40",  # of the payment of 2.40 in the prisoner's dilemma, what its margin comes to
    "22.02", "40.56",  # `paymaster solve cleanup/lio-7x7 --favour 0.2`
    "0.99",  # a discount, of `paymaster solve cleanup/lio-7x7`
    "0.65",  # a wage
    "0.83",  # a prosocial agent's share of the others' rewards
}  # fmt: skip
PERCENT = {"95%": "intervals", "2%": "of its value, which an agent that has not converged could add"}


def parts() -> Iterator[tuple[str, list[str]]]:
    """The parts of what is reported, each with the suites that it is about."""
    for reported in (README.partition("## What comes out")[2].partition("## Use it")[0], RESULTS):
        suites: list[str] = []
        for text in re.split(r"\n(?=`paymaster run|## )|\n\n(?=[^|\n]*`paymaster run)", reported):
            suites = SUITE.findall(text) or suites
            yield text, suites


@cache
def reference(suite: str) -> Comparison:
    """The comparison of a reference table, with the exact solutions that were written beside it."""
    table = ROOT / REFERENCE / f"{suite}.csv"
    written = json.loads(table.with_suffix(".json").read_text())["exact"]
    known = {json.dumps(each["rules"], sort_keys=True): each["solutions"] for each in written}

    def known_exactly(game: Game) -> list[Exact]:
        return [Exact(**each) for each in known[json.dumps(to_json(game), sort_keys=True)]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "exact", known_exactly)
        return comparison.compare(table)


def lines(suites: list[str]) -> Iterator[tuple[Group, Line]]:
    for suite in suites:
        yield from ((group, line) for group in reference(suite).groups for line in group.lines)


def intervals(suites: list[str]) -> set[tuple[str, str, str, str]]:
    """Everything that may be said with an interval: a mean, or a difference with its verdict."""
    found = set()
    for group, line in lines(suites):
        for metric in (WELFARE, PAYMENT):
            mean, low, high, _ = line.estimate(metric)
            found |= {(*(f"{each:{form}}" for each in (mean, low, high)), "") for form in (".2f", ".0f")}
        for differences in (group.differences, group.at_total):
            if (difference := differences.get(line.label)) is not None:
                mean, low, high, _ = difference.judged.estimate
                found.add((*(f"{each:+.2f}" for each in (mean, low, high)), difference.judged.verdict))
    return found


def values(suites: list[str]) -> set[str]:
    """Every mean of a metric, every exact value and the end of every interval, to two digits."""
    numbers = []
    for group, line in lines(suites):
        numbers += [line.estimate(name).mean for name in COLUMNS]
        numbers += [value for each in group.exact for value in (each.welfare, each.payment) if value is not None]
        numbers += [*line.estimate(WELFARE)[1:3]]
    return {f"{value:.2f}" for value in numbers}


def shares(suites: list[str]) -> set[str]:
    """Payments as shares of the welfare, welfare as a share of the optimum, compliance, and rates of success."""
    numbers = []
    for group, line in lines(suites):
        numbers += [line.estimate(name).mean for name in COLUMNS if COLUMNS[name].format.endswith("%}")]
        if (rate := group.success_rate(line)) is not None:
            numbers.append(rate.share)
        for best in (each.welfare for each in group.exact[:1]):
            numbers += [line.estimate(name).mean / best for name in (WELFARE, "followed_welfare")]
            numbers += [1.0 - line.estimate(WELFARE).mean / best, line.estimate(PAYMENT).mean / best]
        numbers += [each.payment / each.welfare for each in group.exact if each.payment and each.welfare > 0]
        numbers += line.values("states_right").values()
        if (utility := next((each.utility(ALPHA) for each in group.exact if each.name == PRINCIPAL), None)) is not None:
            numbers += [value / utility for value in line.values("utility").values()]
    return {f"{value:{form}}" for value in numbers if value == value for form in (".0%", ".1%")}


@pytest.mark.parametrize(
    ("text", "suites"), list(parts()), ids=lambda each: None if isinstance(each, str) else "-".join(each)
)
def test_what_is_reported_is_in_the_reference_tables(text: str, suites: list[str]) -> None:
    said = {tuple(each) for each in INTERVAL.findall(text)}
    assert said <= intervals(suites), said - intervals(suites)
    plain = INTERVAL.sub("", text)
    told = set(VALUE.findall(plain)) - OTHERS
    suites = [*suites, "contracts-cleanup"] if "--favour" in text else suites  # beside it the principal without any
    assert told <= values(suites), told - values(suites)
    percent = set(SHARE.findall(plain))
    assert percent <= shares(suites) | PERCENT.keys(), percent - shares(suites)


def test_a_wrong_number_would_be_found() -> None:
    text, suites = next((text, suites) for text, suites in parts() if "coin-3x3" in suites)
    for right, wrong in (
        ("13.78 [13.72, 13.84]", "13.78 [13.75, 13.84]"),
        ("better", "worse"),
        ("3.19", "3.18 or 3.20"),
    ):
        assert right in text
        with pytest.raises(AssertionError):
            test_what_is_reported_is_in_the_reference_tables(text.replace(right, wrong), suites)


@pytest.mark.slow
@pytest.mark.parametrize("table", sorted((ROOT / REFERENCE).glob("*.csv")), ids=lambda table: table.stem)
def test_the_exact_solutions_beside_a_table_are_those_of_the_solver(table: Path) -> None:
    written = json.loads(table.with_suffix(".json").read_text())["exact"]
    for each in written:
        assert [Exact(**row) for row in each["solutions"]] == exact(make(each["game"], **each["rules"]))
