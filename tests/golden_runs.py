"""The runs whose episodes are kept in tests/golden: every kind of principal and of learner, in a moment each.

`python tests/golden_runs.py` writes them anew for this machine's processor: after a change that is meant to change
floats, in a commit of its own.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import torch

from paymaster.benchmarks.runs.record import read_episodes
from paymaster.benchmarks.runs.run import perform
from paymaster.benchmarks.runs.schedule import jobs
from paymaster.benchmarks.specs.suites import expand, load_suite

EPISODES = Path(__file__).parent / "golden" / "episodes.json"
SUITES = {
    "coin": """
game: coin_game/ivanov-3x3
rules: {observation: egocentric}
steps: 2000
episodes: 16
seeds: 1
settings:
  dqn: {hidden: [16], environments: 16, batch: 32, warm_up: 0, replay: 1000}
  ppo: {hidden: [16], environments: 16, fragment: 16, epochs: 2, minibatches: 2}
runs:
  - {mechanism: selfish}
  - {mechanism: joint, algorithm: ppo, settings: {policies: separate, play: sampled}}
  - {mechanism: mate, settings: {priority: 0.5}}
  - mechanism: principal-dqn
    parameters: {probation: 2, shows_pay: true}
    principal:
      {steps: 2000, hidden: [16], environments: 16, batch: 32, warm_up: 0, replay: 1000, mirrored: true, stake: 0.1}
  - {mechanism: principal-dqn, algorithm: ppo, principal_from: principal-dqn/dqn}
  - mechanism: principal-ppo
    algorithm: ppo
    parameters: {every: 5}
    principal: {steps: 4000, hidden: [16], batch: 8, wait: 0.1, agents: {hidden: [16], environments: 16, fragment: 16}}
  - {mechanism: principal-exact, algorithm: ppo, principal: {nudge: 0.1}}
  - {mechanism: drawn-contract, algorithm: ppo}
  - {mechanism: formal-contract, parameters: {theta: {from: drawn-contract/ppo.best_theta}}}
""",
    "tree": """
game: tree/ivanov-d10
steps: 1000
episodes: 64
seeds: 1
principal: {steps: 2000, hidden: [16], environments: 16, batch: 32, warm_up: 0, replay: 1000, nudge: 0.001}
runs:
  - {mechanism: outcome-dqn, algorithm: follow}
  - {mechanism: outcome-dqn, algorithm: best-response, principal_from: outcome-dqn/follow}
""",
}


def episodes(suite: str, folder: Path) -> dict[str, dict[str, str | float]]:
    """For each run of the suite, made in `folder`: the digest of all its episodes, and its mean evaluated welfare."""
    yaml = folder / f"{suite}.yaml"
    yaml.write_text(SUITES[suite])
    found: dict[str, dict[str, str | float]] = {}
    for job in jobs(expand(load_suite(str(yaml)))):
        for _ in perform(job.run, folder):
            pass
        table = read_episodes(folder / job.id)
        evaluated = table[table["phase"] == "evaluate"]
        found[job.name] = {
            "digest": hashlib.sha256(table.drop(columns="run").to_csv(index=False).encode()).hexdigest()[:16],
            "welfare": round(float(evaluated["welfare"].mean()), 4),
        }
    return found


def processor() -> str:
    """What floats depend on: the processor, and the instructions that torch uses on it."""
    told = [line.partition(":")[::2] for line in Path("/proc/cpuinfo").read_text().splitlines()]
    kind = {name.strip(): value.strip() for name, value in told}
    which = " ".join(kind.get(name, "") for name in ("model name", "cpu family", "model"))
    return f"{which}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def write() -> None:
    """Make the episodes of this processor anew; those of others no longer hold."""
    with tempfile.TemporaryDirectory() as folder:
        made = {suite: episodes(suite, Path(folder)) for suite in SUITES}
    EPISODES.write_text(json.dumps({processor(): made}, indent=1) + "\n")


if __name__ == "__main__":
    write()
