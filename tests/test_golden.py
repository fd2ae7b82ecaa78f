"""What no tidying may change: the digests by which runs are found again, and on one processor the very episodes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from paymaster.benchmarks.provenance import REFERENCE, ROOT
from paymaster.benchmarks.runs.schedule import jobs
from paymaster.benchmarks.specs.suites import expand, load_suite

from . import golden_runs

TABLES = sorted((ROOT / REFERENCE).glob("*.csv"))


@pytest.mark.skipif(not TABLES, reason="needs the checkout")
def test_every_variant_of_the_reference_tables_is_a_run_of_a_suite() -> None:
    variants = set()
    for table in TABLES:
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        kept = {(row["variant"], row["run"]) for row in rows}
        seeds = 1 + max(int(row["seed"]) for row in rows)  # a table may have more of them than its suite asks for
        runs = [job.run for job in jobs(expand(load_suite(table.stem), seeds=seeds))]
        made = {(resolved.variant, resolved.folder) for resolved in runs}
        assert kept <= made, f"{table.name}: {sorted(kept - made)}"
        variants |= {(table.stem, variant) for variant, _ in kept}
    assert len(variants) == 339


@pytest.mark.parametrize("suite", golden_runs.SUITES)
def test_runs_give_the_episodes_that_they_gave_before(suite: str, tmp_path: Path) -> None:
    kept = json.loads(golden_runs.EPISODES.read_text()).get(golden_runs.processor())
    if kept is None:
        pytest.skip(f"no episodes are kept for {golden_runs.processor()}")
    assert golden_runs.episodes(suite, tmp_path) == kept[suite]
