"""That the first compilation is announced, and no later one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLAY = (
    "import numpy as np; from paymaster import make; game = make('matrix/prisoners-dilemma'); "
    "state = game.reset(np.zeros(1, np.uint64)); [game.step(state, np.zeros((1, 2), int)) for _ in range(2)]"
)


def test_the_first_compilation_is_announced_and_cached(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    told = [
        subprocess.run([sys.executable, "-c", PLAY], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [ran.stdout for ran in told] == ["", ""]
    assert [ran.stderr for ran in told] == ["paymaster: compiling: this takes seconds, the first time only\n", ""]
    assert any(tmp_path.rglob("*.nbc")), "what was compiled is kept"
