"""`paymaster show`: a learned contract by time step and map contents, as a table and as a picture."""

from __future__ import annotations

import os
from pathlib import Path

from ...core.config import UsageError
from ..files import RUN
from ..reports.rates import EPISODES, draw_rates, played, situations, table
from ..reports.regret import draw_regret, in_words, regret
from ..runs.load import load
from ..runs.record import read_about
from ..specs.run_names import learner_name


def show(folder: Path, out: Path) -> str:
    """Plot the contract of the run in `folder` to the .png `out`, and return a summary of it as text.

    Where the run trained rates or payments on outcomes, and the best are known, the regret of its training is plotted
    beside it.
    Raises UsageError where the folder holds no run, its mechanism has no principal, or `out` cannot be written.
    """
    if out.suffix.lower() != ".png" or not os.access(out.absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"a contract is drawn to a .png, in a folder that you may write to (got {str(out)!r})")
    about, loaded = read_about(folder / RUN), load(folder)
    found = played(loaded)
    listed = list(situations(found))
    agents = loaded.game.agents
    title = f"{about['resolved']['game']}, {about['name']}/{learner_name(about['resolved'])}, seed {loaded.spec.seed}"
    draw_rates(found, listed, agents, title, out)
    told = [f"{title}: {EPISODES} episodes", table(found, listed, agents), f"picture: {out}"]
    lost = regret(loaded, folder)
    if lost is not None:
        beside = out.with_stem(f"{out.stem}-regret")
        draw_regret(lost, title, beside)
        told += [in_words(lost), f"picture: {beside}"]
    return "\n\n".join(told)
