"""The pages of docs/guides show code that works: `tests/guided.py` does what each shows, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from paymaster import compare
from paymaster.benchmarks.measures.audit import read_audit
from paymaster.benchmarks.reports.doc_pages import DOCS
from paymaster.benchmarks.runs.record import read_about, read_episodes, read_training

from ..guided import pieces

GUIDES = DOCS / "guides"
GUIDED = Path(__file__).parents[1] / "guided.py"

pytestmark = pytest.mark.skipif(not GUIDES.exists(), reason="needs the checkout")


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder in which everything that a page shows has been done."""
    done: dict[str, Path] = {}

    def follow(name: str) -> Path:
        if name not in done:
            folder = done[name] = tmp_path_factory.mktemp(name)
            ran = subprocess.run(
                [sys.executable, GUIDED, GUIDES / f"{name}.md"],
                cwd=folder, timeout=300, capture_output=True, text=True, check=False,
                env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
            )  # fmt: skip
            assert ran.returncode == 0, ran.stdout + ran.stderr
            (folder / "told.txt").write_text(ran.stdout)
        return done[name]

    return follow


def one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_a_page_is_read_as_files_code_and_commands() -> None:
    named, unnamed = "This is `a.py`:\n\n```python\nx = 1\n```\n", "```python\ny = 2\n```\n"
    page = f"{named}\nThen\n\n    paymaster list\n\n{unnamed}\n    python a.py\n"
    assert list(pieces(page)) == [
        ("file a.py", "x = 1\n"), ("command", "paymaster list"), ("code", "y = 2\n"), ("command", "python a.py"),
    ]  # fmt: skip


def test_a_mechanism_learns_whom_to_pay(followed: Callable[[str], Path]) -> None:
    folder = followed("a-mechanism-that-learns")
    learned = read_about(one(folder, "runs/wages/*/wages/dqn/s100-*") / "run.json")["evaluated"]
    assert learned["welfare"] == 18.0  # the optimum
    assert 6.0 < learned["payment"] < 12.0  # between the exact principal and the best constant wage
    told = (folder / "told.txt").read_text()
    offered = [float(line.split()[3]) for line in told.splitlines() if "is offered" in line]
    assert offered[0] > 3.0
    assert all(1.0 < wage < 2.5 for wage in offered[1:])
    assert (folder / "wages.png").stat().st_size > 0
    assert (folder / "episode.png").stat().st_size > 0


def test_its_losses_are_recorded_and_nothing_but_its_network_is_kept(followed: Callable[[str], Path]) -> None:
    run = one(followed("a-mechanism-that-learns"), "runs/wages/*/wages/dqn/s100-*")
    training = read_training(run)
    losses = training[(training.phase == "train") & (training.name == "loss")]
    assert losses.steps.iloc[-1] >= 100_000
    assert np.isfinite(losses.value).all()
    assert len(read_episodes(run, "train")) >= 100_000  # one-shot: an episode a step
    assert set(load_file(run / "principal.safetensors")) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert read_about(run / "run.json")["resolved"]["principal"] == {"steps": 100_000, "alpha": 0.1}


def test_the_mechanism_has_at_most_sixty_lines_of_code() -> None:
    code = dict(pieces((GUIDES / "a-mechanism-that-learns.md").read_text()))["file wages.py"]
    lines = [line.strip() for line in code.splitlines()]
    assert len([line for line in lines if line and not line.startswith(("#", '"""'))]) <= 60


@pytest.mark.slow
def test_rllib_trains_a_learner_of_ones_own(followed: Callable[[str], Path]) -> None:
    run = one(followed("a-learner-that-rllib-trains"), "runs/mine/*/joint/reinforce/s0-*")
    assert read_about(run / "run.json")["evaluated"]["welfare"] == 6.0  # both cooperate
    training = read_training(run)
    assert set(training.name) == {"agents/policy_loss", "agents/entropy"}
    entropy = training[training.name == "agents/entropy"].value
    assert entropy.iloc[-1] < entropy.iloc[0] - 0.1
    assert any(name.startswith("agents.policy") for name in load_file(run / "policy.safetensors"))


@pytest.mark.slow
def test_agents_learn_by_a_table_and_by_a_network_of_ones_own(followed: Callable[[str], Path]) -> None:
    folder = followed("your-own-learner")
    for mechanism, algorithm, least in (
        ("joint", "tabular-q", 9.0),
        ("joint", "plain-ppo", 12.0),
        ("mate", "tabular-q", 0.0),
    ):
        run = one(folder, f"runs/own/*/{mechanism}/{algorithm}/s100-*")
        assert read_about(run / "run.json")["evaluated"]["welfare"] > least  # 13.9 is the optimum, chance gets 2.6
        assert len(read_training(run)) > 10
    audit = read_audit(one(folder, "runs/own/*/joint/plain-ppo/s100-*"))
    assert audit is not None
    assert audit.discount == 0.95  # the learner's own
    assert max(audit.learned.gain) < 1.0
    assert read_about(one(folder, "runs/own/*/joint/plain-ppo/*/run.json"))["resolved"]["settings"]["epochs"] == 3
    assert (folder / "episode.gif").stat().st_size > 0


def test_agents_trained_elsewhere_are_compared_and_drawn(followed: Callable[[str], Path]) -> None:
    folder = followed("agents-trained-elsewhere")
    ((line,),) = (group.lines for group in compare(folder / "runs/elsewhere").groups)
    assert line.label == "selfish/tit-for-tat (external)"
    assert line.first["welfare"] == -40.0  # both cooperate 20 times, at -1 each
    assert line.first["learned_gain"] == pytest.approx(1.0)  # by defecting in the last step alone
    assert (folder / "episode.gif").stat().st_size > 0


def test_the_loop_plays_as_the_page_says(followed: Callable[[str], Path]) -> None:
    told = (followed("the-batched-loop") / "told.txt").read_text()
    assert "2000 episodes, welfare" in told
    assert "all were paid for following" in told


def test_every_guide_is_followed_and_linked() -> None:
    pages = {path.name for path in GUIDES.iterdir()}
    source = Path(__file__).read_text()
    assert pages
    assert all(f'followed("{page.removesuffix(".md")}")' in source for page in pages)
    assert all(f"](guides/{page})" in (DOCS / "README.md").read_text() for page in pages)
    assert "](docs/README.md#guides)" in (DOCS.parent / "README.md").read_text()
