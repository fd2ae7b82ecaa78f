"""Comparisons: what belongs together is put together, what does not is kept apart and told, and nothing is lost."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from paymaster.benchmarks.analysis import comparison as module
from paymaster.benchmarks.analysis import dataset
from paymaster.benchmarks.analysis.comparison import Comparison, compare
from paymaster.benchmarks.analysis.dataset import Evaluated
from paymaster.benchmarks.analysis.groups import Group
from paymaster.benchmarks.cli.compare import compare_and_write
from paymaster.benchmarks.measures.columns import COLUMNS
from paymaster.benchmarks.measures.exact_solutions import Exact, exact, solutions
from paymaster.benchmarks.provenance import REFERENCE, ROOT
from paymaster.benchmarks.reports import curves, frontier
from paymaster.benchmarks.reports.comparison_rows import audited_rows, group_rows
from paymaster.benchmarks.reports.comparison_table import present
from paymaster.benchmarks.reports.styles import COLOURS, Style, styles
from paymaster.benchmarks.reports.text_table import columns, escaped, markdown
from paymaster.core.config import UsageError, to_json
from paymaster.envs import make
from paymaster.equilibria import solve as equilibrium

SMALL = "coin_game/ivanov-3x3"
SOLVED = [
    Exact("social optimum", "finite horizon", 14.0, None),
    Exact("selfish equilibrium, highest", "finite horizon", 10.0, None),
    Exact("principal, subgame-perfect", "finite horizon", 14.0, 3.5, False),
    Exact("social optimum", "discount 0.99", 13.0, None),
]
GIVEN = 3  # of them are those of the game that learners are given


@pytest.fixture(autouse=True)
def _solved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "exact", lambda game: SOLVED)


def row(mechanism: str = "selfish", seed: int = 0, welfare: float = 10.0, **changes: Any) -> Evaluated:
    rules = to_json(make(SMALL))
    values = {
        "game": SMALL, "game_version": 1, "rules": rules, "horizon": 20, "agents": 2, "mechanism": mechanism,
        "name": mechanism, "algorithm": "dqn", "variant": f"{mechanism}-{changes.get('algorithm', 'dqn')}",
        "settings": {"settings": {"lr": 0.1}}, "seed": seed, "steps": 100, "principal_steps": 0, "seconds": 1.0,
        "episodes": 10, "run": f"{mechanism}/s{seed}",
    }  # fmt: skip
    metrics = {
        "welfare": welfare, "principal_payment": 0.0, "payment_share": 0.0, "transfer_volume": 0.0, "equality": 0.5,
    }  # fmt: skip
    metrics |= {name: changes.pop(name) for name in list(changes) if name in COLUMNS}
    known = {name: value for name, value in metrics.items() if value is not None}
    return Evaluated(**(values | changes), metrics=known)


def table(path: Path, *rows: Evaluated) -> Path:
    path.write_text(dataset.write(rows))
    return path


def compared(tmp_path: Path, *rows: Evaluated, **options: Any) -> Comparison:
    return compare(table(tmp_path / "table.csv", *rows), **options)


def test_seeds_of_a_variant_make_a_line(tmp_path: Path) -> None:
    rows = [row(seed=seed, welfare=welfare, principal_payment=2.0) for seed, welfare in enumerate([10.0, 12.0])]
    (group,) = compared(tmp_path, *rows).groups
    (line,) = group.lines
    assert line.values("welfare") == {0: 10.0, 1: 12.0}
    assert (line.estimate("welfare").mean, line.estimate("utility").mean) == (11.0, 108.0)  # (100 + 120) / 2 - 2
    assert line.values("compliance") == {}


def test_differences_are_taken_to_selfish_of_the_same_learner(tmp_path: Path) -> None:
    rows = [row(seed=seed, welfare=10.0 + seed) for seed in range(3)]
    rows += [row(seed=seed, welfare=5.0 + seed, algorithm="ppo") for seed in range(3)]
    rows += [row("joint", seed, 13.0 + seed) for seed in (1, 2, 3)]
    rows += [row("joint", seed, 13.0 + seed, algorithm="ppo") for seed in range(3)]
    (group,) = compared(tmp_path, *rows).groups
    assert group.differences["joint/dqn"].base == "selfish/dqn"
    assert group.differences["joint/dqn"].judged.estimate.mean == 4.0  # 15 and 11: no seed is like another's
    assert group.differences["joint/ppo"].judged.estimate.mean == 8.0
    assert group.differences["joint/ppo"].judged.verdict == "n/a (n < 4)"  # with two of them three seeds say too little
    assert group.differences.keys() == {"joint/dqn", "joint/ppo"}


def test_differences_to_another_mechanism(tmp_path: Path) -> None:
    rows = [row(), row("joint", welfare=12.0), row("constant-share", name="constant-share share=0.2", variant="x")]
    (group,) = compared(tmp_path, *rows, against="joint").groups
    assert group.differences["selfish/dqn"].judged.estimate.mean == -2.0
    (group,) = compared(tmp_path, *rows, against="constant-share").groups  # the only one of that mechanism
    assert group.differences["joint/dqn"].base == "constant-share share=0.2/dqn"
    with pytest.raises(UsageError, match="Did you mean 'joint'"):
        compared(tmp_path, *rows, against="jont")


@pytest.mark.parametrize(
    "changes",
    [
        {"rules": to_json(make(SMALL, tie="both"))},
        {"rules": to_json(make(SMALL, horizon=30)), "horizon": 30},
        {"game_version": 2},
        {"game": "coin_game/rllib-3x3"},
    ],
)
def test_other_rules_are_never_put_together_and_the_difference_is_told(changes: dict[str, Any], tmp_path: Path) -> None:
    comparison = compared(tmp_path, row(), row(seed=1, **changes))
    assert [len(group.lines[0].seeds) for group in comparison.groups] == [1, 1]
    (note,) = comparison.notes
    told = {"rules": "tie (uniform and both)", "game_version": "version (1 and 2)", "game": "coin_game/rllib-3x3"}
    assert ("horizon (20 and 30)" if "horizon" in changes else told[next(iter(changes))]) in note


def test_other_settings_are_lines_of_their_own_and_the_difference_is_told(tmp_path: Path) -> None:
    other = row(seed=1, variant="other", settings={"settings": {"lr": 0.2}}, steps=200)
    comparison = compared(tmp_path, row(), other)
    assert len(comparison.groups[0].lines) == 2
    assert "settings.lr (0.1 and 0.2), steps (100 and 200)" in comparison.notes[0]


def test_lines_that_look_alike_are_told_apart_by_their_names(tmp_path: Path) -> None:
    """In text, JSON, CSV and the labels of pictures."""
    other = row(variant="other", settings={"settings": {"lr": 0.2}}, steps=200)
    many = {"settings": {"lr": 0.3, "hidden": [8], "tau": 0.1, "batch": 2}}
    names = {"selfish steps=100 lr=0.1", "selfish steps=200 lr=0.2"}
    comparison = compared(tmp_path, row(), other)
    assert {line.name for line in comparison.groups[0].lines} == names
    assert {cells[0] for cells in group_rows(comparison.groups[0])[4:]} == names
    assert set(comparison.labels) == {f"{name}/dqn" for name in names}
    labels = pd.read_csv(io.StringIO(present(comparison, "csv")))["label"]
    assert set(labels) == {line["label"] for line in json.loads(present(comparison, "json"))["groups"][0]["lines"]}
    comparison = compared(tmp_path, row(), row(variant="many", settings=many))  # too many for a name
    assert {line.name for line in comparison.groups[0].lines} == {"selfish variant=selfish-dqn", "selfish variant=many"}


def test_where_many_settings_differ_names_say_which_are_not_the_usual_ones(tmp_path: Path) -> None:
    usual = {"lr": 0.1, "hidden": [8], "tau": 0.1, "batch": 2}
    changes: dict[str, dict[str, object]] = {
        "usual": {}, "lr": {"lr": 0.3}, "two": {"lr": 0.3, "tau": 0.2}, "batch": {"batch": 4},
        "many": {"lr": 0.2, "hidden": [9], "tau": 0.3, "batch": 3}, "wide": {"hidden": [9]},
        "tau": {"tau": 0.4}, "large": {"batch": 8},
    }  # fmt: skip
    rows = [row(variant=name, settings={"settings": usual | each}) for name, each in changes.items()]
    (group,) = compared(tmp_path, *rows).groups
    assert {line.first.variant: line.name.partition(" ")[2] for line in group.lines} == {
        "usual": "variant=usual", "lr": "lr=0.3", "two": "lr=0.3 tau=0.2", "batch": "batch=4", "many": "variant=many",
        "wide": "hidden=[9]", "tau": "tau=0.4", "large": "batch=8",
    }  # fmt: skip


def test_how_agents_choose_their_actions_is_told(tmp_path: Path) -> None:
    def told(*ways: str) -> str:
        rows = [
            row(mechanism, algorithm=algorithm, settings={"settings": {"play": way} if way else {}})
            for mechanism, algorithm, way in zip(
                ("selfish", "joint", "prosocial"), ("dqn", "ppo", "ppo"), ways, strict=True
            )
        ]
        return " ".join(present(compared(tmp_path, *rows), "markdown").split())

    assert "Learned policies act greedily." in told("", "greedy", "greedy")
    drawn = "Learned policies act greedily, but draw their actions, as in training, in"
    assert f"{drawn} ppo." in told("", "sampled", "sampled")
    assert f"{drawn} prosocial/ppo." in told("", "greedy", "sampled")
    parts = {"settings": {"agents": ["dqn", "ppo"], "settings": {"dqn": {}, "ppo": {"play": "sampled"}}}}
    assert f"{drawn} dqn+ppo." in present(compared(tmp_path, row(algorithm="dqn+ppo", settings=parts)), "markdown")


def test_a_line_is_compared_to_as_many_steps_as_it_and_its_mechanism_took(tmp_path: Path) -> None:
    """Beside the base of its agents' budget; all verdicts are corrected together. Rollouts are whole: 151 are 150."""
    rows = [row("selfish", s, 10.0 + s / 10) for s in range(4)]
    rows += [row("selfish", s, 12.0 + s / 10, variant="longer", steps=150) for s in range(4)]
    rows += [row("joint", s, 13.0 + s / 10) for s in range(4)]
    rows += [row("principal-dqn", s, 12.0 + s / 10, principal_steps=51) for s in range(4)]
    comparison = compared(tmp_path, *rows)
    (group,) = comparison.groups
    assert {label: each.base for label, each in group.differences.items()} == {
        "joint/dqn": "selfish/dqn", "principal-dqn/dqn": "selfish/dqn",
    }  # fmt: skip
    (label, total), *others = group.at_total.items()
    assert (label, total.base, others) == ("principal-dqn/dqn", "selfish steps=150/dqn", [])
    assert total.judged.estimate.mean == pytest.approx(0.0)
    assert (total.judged.verdict, group.differences[label].judged.verdict) == ("n.s.", "better")
    text = present(comparison, "table", everything=True)
    assert "ΔW at all steps" in text
    assert "learned for as many steps as agents and mechanism did together" in " ".join(text.split())
    lines = {line["label"]: line for line in json.loads(present(comparison, "json"))["groups"][0]["lines"]}
    assert lines[label]["difference_at_total_steps"]["to"] == "selfish steps=150/dqn"
    assert lines["joint/dqn"]["difference_at_total_steps"] is None
    assert not any("principal-dqn" in note for note in comparison.notes)


def test_a_table_never_lends_its_seeds(tmp_path: Path) -> None:
    one, two = table(tmp_path / "one.csv", row(seed=0)), table(tmp_path / "two.csv", row(seed=1, welfare=11.0))
    lines = compare(one, two).groups[0].lines
    assert {(line.label, *line.seeds) for line in lines} == {
        (f"selfish/dqn ({one})", 0), (f"selfish/dqn ({two})", 1),
    }  # fmt: skip
    head, *rows = group_rows(compare(one, two).groups[0])
    assert {cells[head.index("source")] for cells in rows[3:]} == {str(one), str(two)}
    assert len(compare(one, one).groups[0].lines[0].seeds) == 1


def test_differences_are_taken_within_a_budget(tmp_path: Path) -> None:
    """Selfish and joint at two budgets in one table: each joint to its own selfish, and what has none has none."""
    rows = []
    for steps, selfish, joint in ((3_000, 9.0, 7.5), (12_000, 11.5, 12.25)):
        spread = [-0.1, 0.0, 0.1, 0.05, -0.05]
        rows += [row("selfish", s, selfish + by, variant=f"s{steps}", steps=steps) for s, by in enumerate(spread)]
        rows += [row("joint", s, joint + by, variant=f"j{steps}", steps=steps) for s, by in enumerate(spread)]
    rows += [row("mate", seed, 5.0, steps=20_000) for seed in range(5)]
    rows += [row("mate", seed, 5.0, steps=3_000, algorithm="ppo", principal_steps=50) for seed in range(5)]
    comparison = compared(tmp_path, *rows)
    (group,) = comparison.groups
    found = {label: (each.base, each.judged) for label, each in group.differences.items()}
    assert found.keys() == {"joint steps=3000/dqn", "joint steps=12000/dqn"}
    for steps, mean, verdict in ((3000, -1.5, "worse"), (12000, 0.75, "better")):
        base, judged = found[f"joint steps={steps}/dqn"]
        assert base == f"selfish steps={steps}/dqn"
        assert judged.estimate.mean == pytest.approx(mean)
        assert judged.verdict == verdict
    text = " ".join(present(comparison, "table").split())
    assert "no difference for mate/dqn: no run of selfish learned by dqn for 20,000 steps" in text
    assert "(there is dqn with 12,000, dqn with 3,000)" in text
    assert "no difference for mate/ppo: no run of selfish learned by ppo for 3,000 steps" in text
    head, *lines = group_rows(group)
    cells = {cells[head.index("steps")]: cells[head.index("ΔW vs. selfish")] for cells in lines[3:]}
    assert (cells["20k"], cells["3k+50"]) == ("", "")
    lines = json.loads(present(comparison, "json"))["groups"][0]["lines"]
    line = next(each for each in lines if each["algorithm"] == "ppo")
    assert (line["steps"], line["principal_steps"], line["total_steps"], line["difference"]) == (3000, 50, 3050, None)


def test_a_base_of_two_budgets_is_still_the_base(tmp_path: Path) -> None:
    """Its lines are told apart by their steps, beside one of another learner that keeps its name."""
    rows = [row(variant=f"s{steps}", steps=steps) for steps in (100, 200)]
    rows += [row("joint", variant=f"j{steps}", steps=steps, welfare=12.0) for steps in (100, 200)]
    rows += [row(algorithm="ppo"), row("joint", algorithm="ppo", welfare=11.0)]
    comparison = compared(tmp_path, *rows)
    bases = {label: each.base for label, each in comparison.groups[0].differences.items()}
    assert bases == {
        "joint/dqn": "selfish/dqn", "joint steps=200/dqn": "selfish steps=200/dqn", "joint/ppo": "selfish/ppo",
    }  # fmt: skip
    one = compared(tmp_path, *rows, against="selfish steps=200").groups[0].differences
    assert {each.base for each in one.values()} == {"selfish steps=200/dqn"}


def test_agents_that_had_learned_before_have_another_budget(tmp_path: Path) -> None:
    warm = {"settings": {"lr": 0.1}, "agents_from": {"from": "drawn-contract/ppo", "variant": "x"}}
    comparison = compared(tmp_path, row(), row("formal-contract", settings=warm))
    assert comparison.groups[0].differences == {}
    assert "learned by dqn for 100 steps after those of another run" in comparison.notes[0]


def test_steps_that_were_not_recorded_are_said_to_be_unknown(tmp_path: Path) -> None:
    """In tables from before the steps of other runs were recorded."""
    taken = {"settings": {}, "principal": {"from": "principal-dqn/dqn", "variant": "x"}}
    old, new = row("advice", settings=taken), row("advice", 1, settings=taken, principal_steps=50)
    assert (old.total_steps, new.total_steps, row().total_steps) == (None, 150, 100)
    head, *lines = group_rows(compared(tmp_path, old).groups[0])
    assert lines[-1][head.index("steps")] == "100+?"


def test_a_seed_that_stands_twice_is_named_and_one_table_under_two_names_is_one(tmp_path: Path) -> None:
    path = table(tmp_path / "twice.csv", row(), row(), row(welfare=20.0))
    comparison = compare(path, tmp_path / ".." / tmp_path.name / "twice.csv")
    assert [line.values("welfare") for line in comparison.groups[0].lines] == [{0: 10.0}]
    assert "seed 0 of selfish stands there twice, and differs" in comparison.damaged[0]


def test_rows_under_one_principal_are_told_apart_by_their_learners_alone(tmp_path: Path) -> None:
    """One trained it and two took it, one of these with another promise."""
    trained = {"steps": 100, "nudge": 0.05, "bonus": 0.0}
    taken = {"from": "principal-dqn/dqn", "variant": "11111111"}
    made = [
        ("11111111", {"hidden": [64]}, trained), ("22222222", {"hidden": [16]}, taken),
        ("33333333", {"hidden": [64]}, {**taken, "bonus": 0.1}),
    ]  # fmt: skip
    rows = [
        row("principal-dqn", 0, variant=variant, settings={"settings": settings, "principal": principal})
        for variant, settings, principal in made
    ]
    (group,) = compare(table(tmp_path / "table.csv", *rows), solve=False).groups
    assert {line.first.variant: line.name for line in group.lines} == {
        "11111111": "principal-dqn bonus=0.0 hidden=[64]", "22222222": "principal-dqn bonus=0.0 hidden=[16]",
        "33333333": "principal-dqn bonus=0.1 hidden=[64]",
    }  # fmt: skip


def test_a_principal_that_was_trained_and_one_that_was_taken_never_share_a_name(tmp_path: Path) -> None:
    """The first two differ in nothing but whence their principal comes; of another learner the nudge is known too."""
    trained = {"steps": 100, "nudge": 0.0}
    taken = {"from": "principal-dqn/dqn", "variant": "11111111"}
    other = {"steps": 100, "nudge": 0.1}
    made = [("11111111", "dqn", trained), ("22222222", "dqn", taken), ("33333333", "dqn", other)]
    made += [("44444444", "ppo", taken), ("55555555", "ppo", {"from": "principal-dqn/dqn", "variant": "33333333"})]
    rows = [
        row("principal-dqn", algorithm=algorithm, variant=variant, settings={"settings": {}, "principal": principal})
        for variant, algorithm, principal in made
    ]
    (group,) = compare(table(tmp_path / "table.csv", *rows), solve=False).groups
    assert {line.first.variant: line.label for line in group.lines} == {
        "11111111": "principal-dqn variant=11111111/dqn", "22222222": "principal-dqn variant=22222222/dqn",
        "33333333": "principal-dqn nudge=0.1/dqn", "44444444": "principal-dqn nudge=0.0/ppo",
        "55555555": "principal-dqn nudge=0.1/ppo",
    }  # fmt: skip


def test_a_base_with_other_settings_of_the_learner_is_named(tmp_path: Path) -> None:
    other = {"settings": {"lr": 0.2}}
    comparison = compared(tmp_path, row(), row("joint", settings=other))
    assert comparison.notes == ["joint/dqn and its base selfish/dqn differ in settings.lr (0.2 and 0.1)"]
    comparison = compared(tmp_path, row(), row(variant="s", settings=other), row("joint", settings=other))
    assert comparison.groups[0].differences["joint/dqn"].base == "selfish lr=0.2/dqn"


def test_a_line_that_has_not_converged_says_so(tmp_path: Path) -> None:
    """Where the mean gain of best responses is above 2%; of lines that nobody audited nothing is known."""
    shares = {"selfish": [0.01, 0.05], "joint": [0.01, 0.02], "mate": [None, None]}
    rows = [
        row(name, seed, **({} if share is None else {"learned_gain_share": share}))
        for name, each in shares.items()
        for seed, share in enumerate(each)
    ]
    comparison = compared(tmp_path, *rows)
    assert {line.name: line.converged for line in comparison.groups[0].lines} == {
        "selfish": False, "joint": True, "mate": None,
    }  # fmt: skip
    assert {cells[0] for cells in group_rows(comparison.groups[0])[4:]} == {"selfish *", "joint", "mate"}
    assert "*: not converged" in present(comparison, "table")
    assert "*: not converged" not in present(compared(tmp_path, *rows[2:]), "table")
    lines = json.loads(present(comparison, "json"))["groups"][0]["lines"]
    assert {line["name"]: line["converged"] for line in lines} == {"selfish": False, "joint": True, "mate": None}


def test_what_is_undefined_is_no_verdict(tmp_path: Path) -> None:
    rows = [row("joint", seed, principal_payment=1.0) for seed in range(3)] + [row(seed=0)]
    comparison = compared(tmp_path, *rows)
    assert comparison.groups[0].differences["joint/dqn"].judged.verdict == "n/a (n < 3)"


def test_scores_and_success(tmp_path: Path) -> None:
    rows = [row(seed=seed, welfare=welfare) for seed, welfare in enumerate([9.0, 12.0, 14.0, 16.0])]
    (group,) = compared(tmp_path, *rows).groups
    np.testing.assert_allclose(group.scores(group.lines[0]), [-0.25, 0.5, 1.0, 1.5])  # never clipped
    rate = group.success_rate(group.lines[0])
    assert rate is not None
    assert rate.share == 0.75


def test_where_nothing_is_exactly_known_joint_says_what_is_solved(tmp_path: Path) -> None:
    rows = [row(seed=seed, welfare=welfare) for seed, welfare in enumerate([17.9, 18.0, 25.0, 1.0])]
    joint = [row("joint", seed, welfare, algorithm="ppo") for seed, welfare in enumerate([15.0, 25.0])]
    worse = [row("joint", seed, 5.0) for seed in range(2)]  # of another learner
    group = compared(tmp_path, *rows, *joint, *worse, solve=False).groups[0]
    assert group.success_threshold == 18.0
    assert {line.label: rate.share for line in group.lines if (rate := group.success_rate(line))} == {
        "selfish/dqn": 0.5, "joint/ppo": 0.5, "joint/dqn": 0.0,
    }  # fmt: skip
    head, *lines = group_rows(group)
    assert [cells[head.index("success")] for cells in lines] == ["50% [1%, 99%]", "50% [7%, 93%]", "0% [0%, 84%]"]
    text = present(compared(tmp_path, *rows, *joint, solve=False), "table")
    assert "at least 90% of joint's mean" in " ".join(text.split())
    assert (
        json.loads(present(compared(tmp_path, *rows, *joint, solve=False), "json"))["groups"][0]["success_threshold"]
        == 18
    )


@pytest.mark.parametrize("joint", [[], [row("joint", welfare=-3.0)]])
def test_without_a_joint_that_earns_nothing_says_what_is_solved(joint: list[Evaluated], tmp_path: Path) -> None:
    comparison = compared(tmp_path, row(), *joint, solve=False)
    assert comparison.groups[0].success_threshold is None
    assert "success" not in group_rows(comparison.groups[0])[0]
    assert "success" not in present(comparison, "table")


def test_what_is_exactly_known_is_not_replaced_by_joint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(welfare=11.9), row("joint", welfare=13.0)]
    assert compared(tmp_path, *rows).groups[0].success_threshold == 12.0
    monkeypatch.setattr(module, "exact", lambda game: [SOLVED[0], SOLVED[1]._replace(welfare=14.0)])
    assert compared(tmp_path, *rows).groups[0].success_threshold is None  # no dilemma: there is no gap to close


def test_games_are_put_together_by_score_alone(tmp_path: Path) -> None:
    rows = [row(seed=seed, welfare=10.0 + seed) for seed in range(4)]
    rows += [row(seed=seed, welfare=14.0, game="coin_game/rllib-3x3") for seed in range(4)]
    across = compared(tmp_path, *rows).across
    # scores 0 .25 .5 .75 and 1 1 1 1: without two on either side (.5 + .75 + 1 + 1) / 4
    assert across["selfish/dqn"].estimate.mean == 0.8125
    assert across["selfish/dqn"].games == 2
    assert compared(tmp_path, *rows[:4]).across == {}


def test_scores_of_different_budgets_are_not_put_together(tmp_path: Path) -> None:
    rows = [row(seed=seed) for seed in range(4)]
    rows += [row(seed=seed, game="coin_game/rllib-3x3", steps=300) for seed in range(4)]
    comparison = compared(tmp_path, *rows)
    assert comparison.across == {}
    assert "no score over games for selfish/dqn: the budgets differ between games" in comparison.notes


def test_one_game_under_two_rules_is_not_two_games(tmp_path: Path) -> None:
    rows = [row(seed=seed) for seed in range(4)]
    rows += [row(seed=seed, rules=to_json(make(SMALL, tie="both"))) for seed in range(4)]
    assert compared(tmp_path, *rows).across == {}
    comparison = compared(tmp_path, *rows, *(row(seed=seed, game="coin_game/rllib-3x3") for seed in range(4)))
    assert comparison.across == {}
    assert f"no score over games for {SMALL}: it stands here under several rules" in comparison.notes


def test_published_numbers_of_the_same_family_stand_by_themselves(tmp_path: Path) -> None:
    comparison = compared(tmp_path, row())
    assert {each.metric for each in comparison.published} == {"payment share", "compliance"}
    assert all("unknown" in each.rules for each in comparison.published)
    everything = compare(dataset.PUBLISHED)
    assert everything.groups == []
    assert len(everything.published) == 40
    assert {each.known for each in everything.published} == {"read", "relayed", "remembered"}


PAID = ("principal", "principal_dominant", "principal_contingent")


@pytest.mark.parametrize(
    ("changes", "counts", "mark"),
    [
        ({}, True, ""),
        ({"settled": False}, True, " (not converged, yet no deviation gains)"),
        ({"settled": False, "gain": 0.0014}, True, " (not converged, a deviation gains 0.0014)"),
        ({"gain": 0.31, "approximate": True}, False, " (approximate, a deviation gains 0.31)"),
        ({"other_fixed_points": [[1.0, 0.5]]}, True, " (one of several fixed points)"),
        ({"abstains": 5.0}, True, " (abstains in 25.0% of the steps)"),
        ({"abstains": 3e-19}, True, ""),
    ],
)
def test_an_exact_row_says_what_it_is_and_counts_if_it_is_an_equilibrium(
    changes: dict, counts: bool, mark: str
) -> None:
    row = {"welfare": 1.0, "payment": 0.5, "settled": True, "gain": 0.0, **changes}
    summary = {"discount": 0.99, "horizon": 20, "selfish": {"highest": row, "lowest": row}}
    summary |= dict.fromkeys(("cooperative", "correlated", "mediated", *PAID, "best_rate"), row)
    for each in solutions(summary):
        assert (each.counts, each.label) == (counts, each.name + mark)


def test_rates_without_an_equilibrium_have_a_row_without_values() -> None:
    row = {"welfare": 1.0, "payment": 0.5, "settled": True}
    summary = {"discount": None, "horizon": 20, "selfish": {"highest": row, "lowest": row}, "best_rate": None}
    *_, rates = solutions(summary | dict.fromkeys(("cooperative", "correlated", "mediated", *PAID), row))
    assert (rates.label, rates.counts) == ("principal, best linear contract (no equilibrium found)", False)
    assert (rates.welfare, rates.payment, rates.utility(0.1)) == (None, None, None)


def test_an_approximate_row_takes_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in success rates nor in distances; the row stands, with its mark."""
    found = [each._replace(gain=0.31, approximate=True) if each.name != "social optimum" else each for each in SOLVED]
    monkeypatch.setattr(module, "exact", lambda game: found)
    (group,) = compared(tmp_path, row(welfare=14.0)).groups
    assert group.success_threshold is None
    assert not group.lines[0].values("welfare_regret_spe")
    assert "selfish equilibrium, highest (approximate, a deviation gains 0.31)" in [r[0] for r in group_rows(group)]


def test_an_exact_row_of_which_nothing_is_known_but_its_name_is_shown(tmp_path: Path, monkeypatch: Any) -> None:
    nothing = Exact("principal, best linear contract", "finite horizon", None, None)
    monkeypatch.setattr(module, "exact", lambda game: [*SOLVED[:3], nothing])
    comparison = compared(tmp_path, row(welfare=14.0))
    assert group_rows(comparison.groups[0])[4][:4] == [nothing.label, "exact", "", ""]
    assert json.loads(present(comparison, "json"))["groups"][0]["exact"][3]["counts"] is False


def test_exact_rows_stand_on_top(tmp_path: Path) -> None:
    head, *rows = group_rows(compared(tmp_path, row(welfare=12.0)).groups[0])
    assert [cells[0] for cells in rows[:2]] == [each.name for each in SOLVED[:2]]
    assert rows[2][:2] == ["principal, subgame-perfect (not converged, yet no deviation gains)", "exact"]
    principal = dict(zip(head, rows[2], strict=True))
    assert (principal["welfare"], principal["payment"], principal["share"]) == ("14.00", "3.50", "25%")
    assert principal["utility"] == "136.50"
    assert dict(zip(head, rows[3], strict=True))["success"] == "0% [0%, 98%]" or rows[3][0] == "selfish"
    assert len(rows) == 4  # each exact solution once: those of the game that learners are given


def test_a_game_is_solved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    solved: list[Any] = []
    summary = equilibrium.summary
    monkeypatch.setattr(equilibrium, "summary", lambda *args, **rest: solved.append(rest) or summary(*args, **rest))
    first = exact(make(SMALL))
    assert len(solved) == 2
    assert exact(make(SMALL)) == first
    assert len(solved) == 2
    finite = {each.name: each for each in first if each.kind == "finite horizon"}
    assert finite["social optimum"].welfare == pytest.approx(13.900, abs=1e-3)
    assert finite["selfish equilibrium, highest"].welfare == pytest.approx(10.901, abs=1e-3)
    assert finite["principal, subgame-perfect"].payment == pytest.approx(2.583, abs=1e-3)
    assert {each.kind for each in first} == {"discount 0.99", "finite horizon"}
    other = make(SMALL, tie="both", horizon=2)
    exact(other)
    assert len(solved) == 4
    monkeypatch.setattr("paymaster.benchmarks.measures.solution_cache._code", lambda game: "the solver has changed")
    exact(other)
    assert len(solved) == 6


def test_a_game_without_a_table_has_no_exact_rows() -> None:
    assert exact(make("coin_game/mfos-3x3")) == []


def test_a_game_that_changed_since_has_no_exact_rows(tmp_path: Path) -> None:
    (group,) = compared(tmp_path, row(game_version=99)).groups
    assert group.exact == []


def test_a_game_that_is_not_known_here_is_shown_all_the_same(tmp_path: Path) -> None:
    (group,) = compared(tmp_path, row(game="pond/small", rules={"fish": 3})).groups
    assert group.title == "pond/small, version 1: fish 3, horizon 20, 2 agents"
    assert group.exact == []


def test_columns_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    head, *_ = group_rows(compared(tmp_path, row(equality=None)).groups[0])
    assert not {"transfers", "equality", "compliance"} & set(head)
    head, *_ = group_rows(compared(tmp_path, row(compliance=0.5, transfer_volume=1.0)).groups[0])
    assert {"transfers", "compliance"} <= set(head)


def test_what_was_agreed_to_shares_a_column(tmp_path: Path) -> None:
    advised, signed = row(compliance=0.94), row("drawn-contract", acceptance=0.75)
    for rows, name, told in (
        ([advised, signed], "compliance or acceptance", ["75%", "94%"]),
        ([signed, row()], "acceptance", ["75%", ""]),
        ([advised], "compliance", ["94%"]),
    ):
        head, *lines = group_rows(compared(tmp_path, *rows).groups[0])
        assert [cell for cell in head if "compliance" in cell or "acceptance" in cell] == [name]
        assert sorted(cells[head.index(name)] for cells in lines[GIVEN:]) == sorted(told)
    assert "acceptance: the fraction of episodes" in present(compared(tmp_path, signed), "markdown")
    assert "acceptance" not in present(compared(tmp_path, advised), "table")
    found = json.loads(present(compared(tmp_path, advised, signed), "json"))["groups"][0]["lines"]
    assert sorted(line["metrics"]["acceptance"]["mean"] or 0 for line in found) == [0, 0.75]


def test_a_table_from_before_a_column_came_can_be_read(tmp_path: Path) -> None:
    old = row()
    lines = dataset.write([old]).splitlines()
    assert lines[0].count(",acceptance,") == 1
    place = lines[0].split(",").index("acceptance") - len(lines[0].split(","))  # before it stand cells with commas
    older = [",".join(cells[:place] + cells[place + 1 :]) for cells in (line.split(",") for line in lines)]
    (tmp_path / "older.csv").write_text("\n".join(older))
    assert compare(tmp_path / "older.csv").rows == [old]


def test_a_table_can_be_compared_again(tmp_path: Path) -> None:
    rows = [row(seed=seed, welfare=10 + seed / 3, compliance=None if seed else 0.1) for seed in range(3)]
    first = compared(tmp_path, *rows)
    (tmp_path / "again.csv").write_text(present(first, "csv"))
    assert compare(tmp_path / "again.csv").rows == first.rows == rows


def test_json_holds_everything_and_nothing_that_is_no_json(tmp_path: Path) -> None:
    found = json.loads(
        present(compared(tmp_path, row(), row("joint", welfare=13.0)), "json"), parse_constant=pytest.fail
    )
    joint, _ = found["groups"][0]["lines"]  # the highest welfare first
    assert joint["metrics"]["welfare"]["by_seed"] == {"0": 13.0}
    assert joint["metrics"]["welfare"]["low"] is None  # a single seed has no interval
    assert joint["difference"]["to"] == "selfish/dqn"
    assert joint["difference"]["mean"] == 3.0
    assert found["groups"][0]["exact"][0] == {**SOLVED[0]._asdict(), "label": SOLVED[0].name, "counts": True}


@pytest.mark.parametrize("format", ["table", "markdown"])
def test_text_tells_the_mean_its_interval_and_every_seed(format: str, tmp_path: Path) -> None:
    rows = [row(seed=seed, welfare=welfare) for seed, welfare in enumerate([10.0, 14.0, 12.0])]
    text = present(compared(tmp_path, *rows), format, everything=True)
    assert "12.00 [7.03, 16.97]" in text
    assert "10.00 14.00 12.00" in text
    assert "Ivanov et al. 2024" in text
    assert "10.00 14.00 12.00" not in present(compared(tmp_path, *rows), "table")


def test_a_table_fits_a_line_and_everything_is_a_flag_away(tmp_path: Path) -> None:
    rows = [row(name, seed, 10.0 + seed, compliance=0.5) for name in ("selfish", "joint") for seed in range(10)]
    rows += [row("funded-share", seed, name="funded-share share=principal-dqn/dqn.payment_share") for seed in range(10)]
    for everything in (False, True):
        text = present(compared(tmp_path, *rows), "table", everything=everything)
        assert max(map(len, text.splitlines())) <= 100 or everything
        assert ("compliance" in text) == everything


def test_a_table_that_is_too_wide_goes_on_below() -> None:
    rows = [["a", "b", "c", "d"], ["1", "22", "333", "4444"]]
    assert columns(rows) == "a  b   c    d\n---------------\n1  22  333  4444".replace("-" * 15, "-" * 16)
    assert columns(rows, width=11) == "a  b   c\n----------\n1  22  333\n\na  b   d\n-----------\n1  22  4444"
    assert columns([["a", "b"], ["1", "two words"]], width=9, longest=5) == "a  b\n--------\n1  two\n   words"
    assert markdown([["a|b", "c"], ["1", "2"]]) == "| a\\|b | c |\n| --- | --- |\n| 1 | 2 |"


DAMAGED = {
    "cut": lambda text: text[: len(text) // 2],
    "a word for a number": lambda text: text.replace("0.5", "half"),
    "a column missing": lambda text: text.replace("welfare,", ""),
    "an infinite welfare": lambda text: text.replace("10.0,0.0", "inf,0.0"),
    "no table at all": lambda text: "hello",
    "empty": lambda text: "",
    "nul": lambda text: text.replace("selfish", "\0"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_table_is_named_and_the_others_are_compared(name: str, tmp_path: Path, capsys: Any) -> None:
    good, bad = table(tmp_path / "good.csv", row()), tmp_path / "bad.csv"
    bad.write_text(DAMAGED[name](dataset.write([row()])))
    assert compare_and_write([bad, good], "table", None, None) == 0
    told = capsys.readouterr()
    assert "bad.csv" in told.err
    assert "good.csv" not in told.err
    assert "10.00" in told.out
    with pytest.raises(UsageError, match=r"nothing is left to compare; .*bad\.csv"):
        compare(bad)


def test_what_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a folder of runs nor a table"):
        compare(tmp_path / "none")
    with pytest.raises(UsageError, match="no finished run"):
        compare(tmp_path)


def test_a_table_is_written_with_how_it_was_made(tmp_path: Path, capsys: Any) -> None:
    source = table(tmp_path / "table.csv", row())
    out = tmp_path / "out.csv"
    assert compare_and_write([source], "csv", None, out) == 0
    assert compare(out).rows == [row()]
    about = json.loads(out.with_suffix(".json").read_text())
    assert {"command", "date", "commands", "made"} <= about.keys()
    with pytest.raises(UsageError, match="cannot be written"):
        compare_and_write([source], "csv", None, tmp_path / "none" / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.json", "table.csv"]


def test_an_exact_solution_that_pays_far_more_is_named_at_the_edge() -> None:
    """The frontier keeps the scale of what mechanisms pay."""
    exact = [Exact("principal, subgame-perfect", "here", 9.0, 30.0), Exact("principal, dear", "here", 9.0, 91.0)]
    line = SimpleNamespace(estimate=lambda column: SimpleNamespace(mean=30.0))
    axis = Figure().subplots()
    points = frontier._solutions(axis, cast(Group, SimpleNamespace(given=exact, lines=[line])))
    assert [each.get_text() for each in axis.texts] == ["exact: dear, at 91 →"]
    assert [each.get_xdata().tolist() for each in axis.lines] == [[30.0]]
    assert [(point.name, point.payment.mean) for point in points] == [("exact: subgame-perfect", 30.0)]


def test_names_of_points_that_stand_close_do_not_cover_each_other() -> None:
    figure = Figure(layout="constrained")
    axis = figure.subplots()
    places = [(1.0, 1.0), (1.02, 1.0), (1.04, 1.01), (2.0, 2.0)]
    points = [frontier.Point(f"name {x}", frontier.Ends(x, x, x), frontier.Ends(y, y, y), "black") for x, y in places]
    axis.plot(*zip(*places, strict=True), "o", label="points")
    axis.legend()
    figure.draw_without_rendering()
    frontier._write_names(axis, points)
    assert sorted(text.get_text() for text in axis.texts) == sorted(point.name for point in points)
    boxes = [text.get_window_extent() for text in axis.texts]
    assert all(box.count_overlaps(boxes) == 1 for box in boxes)


def test_a_line_tells_how_many_of_its_seeds_are_audited(tmp_path: Path) -> None:
    rows = [row("advice", 0, followed_welfare=9.0), row("advice", 1), row("selfish", 0), row("selfish", 1)]
    (group,) = compare(table(tmp_path / "table.csv", *rows)).groups
    names = [line[0] for line in audited_rows(group)[1:]]
    assert "advice (1 of 2 seeds audited)" in names
    assert "selfish" in names


def test_a_group_is_told_by_the_rules_that_its_preset_has_not(tmp_path: Path) -> None:
    (group,) = compare(table(tmp_path / "table.csv", row())).groups
    assert group.short == group.game
    changed = group._replace(rules={**group.rules, "observation": "mutual"})
    assert changed.short == f"{group.game}, observation mutual"


def test_the_columns_of_a_table_and_their_order_stay() -> None:
    """Tables that were written before are read, and tables that are written now are read by other programs."""
    assert dataset.table_columns() == [
        "game", "game_version", "rules", "horizon", "agents", "mechanism", "name", "algorithm", "variant", "settings",
        "seed", "steps", "principal_steps", "seconds", "episodes", "welfare", "principal_payment", "payment_share",
        "transfer_volume", "equality", "compliance", "deviation_regret", "run", "taxes", "shaping",
        "principal_return", "acceptance", "states_right", "followed_states_right", "best_states_right",
        "exploited_income", "followed_welfare",
        "followed_payment", "followed_gain_now", "followed_gain", "exploited_gain", "spe_ratio", "ic_ratio",
        "learned_gain", "learned_gain_share",
        "worst_welfare", "welfare_regret_spe", "payment_regret_spe", "welfare_regret_best_rate",
        "payment_regret_best_rate", "total_steps", "label",
    ]  # fmt: skip


@pytest.mark.parametrize("table", sorted((ROOT / REFERENCE).glob("*.csv")), ids=lambda path: path.stem)
def test_a_reference_table_that_is_read_and_written_stays_the_same(table: Path) -> None:
    head, *lines = table.read_text().splitlines()
    again = compare(table, solve=False)
    written = dataset.write(again.rows, again.labels)
    if head == written.partition("\n")[0]:
        assert written.splitlines() == [head, *lines]
    else:  # from before a column was introduced
        kept = pd.read_csv(table)
        pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(written))[kept.columns], kept)


def test_a_table_with_a_column_of_nobody_here_is_named(tmp_path: Path) -> None:
    lines = dataset.write([row()]).splitlines()
    (tmp_path / "other.csv").write_text(f"{lines[0]},happiness\n{lines[1]},1.0\n")
    with pytest.raises(UsageError, match="columns unknown: happiness"):
        compare(tmp_path / "other.csv")


def test_a_line_with_too_many_cells_is_damage(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(dataset.write([row()]).rstrip("\n") + ",7.0,8.0\n")
    with pytest.raises(UsageError, match="damaged in line 2"):
        compare(tmp_path / "bad.csv")


def test_every_head_that_is_shown_is_explained_below(tmp_path: Path) -> None:
    everything: dict[str, Any] = {name: 0.5 for name, column in COLUMNS.items() if column.of_run}
    rows = [row("advice", seed, **everything | {"welfare": 11.0 + seed}) for seed in range(3)]
    comparison = compared(tmp_path, *rows, *(row(seed=seed) for seed in range(3)))
    text = present(comparison, "markdown")
    shown = {*group_rows(comparison.groups[0])[0], *audited_rows(comparison.groups[0])[0]}
    shown -= {"mechanism", "learner", "welfare by seed"}
    others = {"steps", "ΔW vs. selfish", "ΔW interval", "success"}  # are no metrics; two metrics share a column
    assert len(shown) == len(COLUMNS) - 1 + len(others)
    for head in shown:
        for part in head.partition(" vs. ")[0].split(" or "):
            assert f"{part}: " in text
    assert all(column.label in text and column.about in text for column in COLUMNS.values())


def test_a_mechanism_has_one_colour_and_each_of_its_series_a_look_of_its_own(tmp_path: Path) -> None:
    dear = [row("dear", name=f"dear share={i}", variant=f"dear-{i}", principal_payment=1.0) for i in range(6)]
    for count in (3, 6, 12):  # and more mechanisms than there are colours
        others = [row(f"mechanism-{i}") for i in range(count)]
        comparison = compared(tmp_path, *others, *dear)
        lines = [(line.first.mechanism, line.label) for line in comparison.groups[0].lines]
        looks = styles(comparison, lines)
        assert len({(look.colour, look.dash) for look in looks.values()}) == len(lines)
        if count < len(COLOURS):
            of_dear = [look for label, look in looks.items() if label.startswith("dear")]
            assert [look.colour for look in of_dear[:4]] == [COLOURS[0]] * 4  # who pays comes first
            assert len({look.dash for look in of_dear[:4]}) == 4
            assert of_dear[4].colour not in COLOURS  # a paler one
        (alone,) = styles(comparison, [("dear", "dear/dqn")]).values()
        assert alone.colour == COLOURS[0]  # whatever else a picture shows


def test_agents_that_learned_nothing_have_no_line_among_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (group,) = compared(tmp_path, row()).groups
    axis = Figure().subplots()
    for value, lines in ((np.nan, 0), (1.0, 1)):
        found = curves.Curve(np.arange(3.0), np.full((1, 3), value))
        monkeypatch.setattr(curves, "curve", lambda *_, found=found: found)
        curves._draw(axis, group.lines[0], "welfare", {}, Style("black", "-", "o"))
        assert len(axis.lines) == lines


def test_people_are_told_of_money_that_is_no_payment(tmp_path: Path) -> None:
    rows = [row("selfish", 0), row("lio", 0, shaping=2.5), row("constant-share", 0, transfer_volume=1.0)]
    comparison = compared(tmp_path, *rows)
    told = present(comparison, "table")
    assert "transfers (constant-share), shaping (lio)" in told
    assert "A payment of 0" not in present(compared(tmp_path, row()), "table")
    assert "A payment of 0" not in present(comparison, "table", everything=True)


def test_a_table_for_a_paper() -> None:
    r"""Each row ends with `\\`, has a cell for each column, and no letter that LaTeX would take for its own."""
    text = present(compare(ROOT / REFERENCE / "contracts-coin.csv", solve=False), "latex")
    (begun,) = [line for line in text.splitlines() if line.startswith(r"  \begin{tabular}")]
    columns = re.fullmatch(r"  \\begin\{tabular\}\{(l+r+)\}", begun)
    assert columns is not None
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 15  # the head and the learned lines
    assert all(line.count(" & ") == len(columns[1]) - 1 for line in rows)
    assert "social-value-orientation & ppo & 250k & 8.19 [8.12, 8.25]" in text
    assert not re.search(r"(?<!\\)[%_#$&](?!\\?Delta)", "".join(rows).replace(" & ", "").replace(r"$\Delta$", ""))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1


def test_what_latex_takes_for_its_own_is_escaped() -> None:
    assert escaped(r"50% of a_b & {c} \d ~ ^ ΔW") == (
        r"50\% of a\_b \& \{c\} \textbackslash{}d \textasciitilde{} \textasciicircum{} $\Delta$W"
    )
