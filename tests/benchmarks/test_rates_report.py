"""The picture of a contract's rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.image import imread

from paymaster.benchmarks.reports.rates import Played, draw_rates, situations
from paymaster.render.sprites import colour_of


def test_agents_have_the_colours_that_they_have_on_the_board(tmp_path: Path) -> None:
    found = Played(("followed",), np.ones((6, 1, 1)), np.ones((6, 1, 1)), {"step": np.arange(6)})
    draw_rates(found, list(situations(found)), ("red",), "", tmp_path / "rates.png")
    pixels = imread(tmp_path / "rates.png")[..., :3].reshape(-1, 3)
    ink = pixels[np.ptp(pixels, axis=1) > 0.5]  # not the axes and the text, which are grey
    drawn = 0.8 * np.array(colour_of(0)) / 255 + 0.2  # at 80% on white
    assert (abs(np.median(ink, axis=0) - drawn) < 0.05).all()
