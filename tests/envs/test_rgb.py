"""Colours in place of classes, in the games on a map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from paymaster import parallel_env
from paymaster.core.config import UsageError
from paymaster.envs import make
from paymaster.envs.grid.windows import coloured
from paymaster.learning.networks import Encoder, Shape, shape_of

COLOURS: dict[int, tuple[int, int, int]] = {
    0: (0, 0, 0), 1: (0, 0, 0), 2: (180, 180, 180), 3: (0, 255, 0), 4: (159, 67, 255), 5: (2, 81, 154), 6: (2, 81, 154),
    7: (2, 81, 154), 8: (2, 81, 154), 9: (255, 255, 0), 10: (99, 156, 194), 11: (99, 156, 194), 12: (113, 75, 24),
    13: (100, 255, 255),
}  # fmt: skip


@pytest.mark.parametrize("id", ["cleanup/ssd", "cleanup/lio-7x7", "harvest/ssd"])
def test_pixels_are_the_colours_of_the_classes(id: str) -> None:
    game, painted = make(id), make(id, observation="rgb")
    assert (game.observation, painted.classes) == ("classes", 0)
    dice, state = np.random.default_rng(0), game.reset(np.arange(4, dtype=np.uint64))
    met: set[int] = set()
    for _ in range(40):
        state, _ = game.step(state, dice.integers(len(game.action_names), size=state.facing.shape))
        classes, pixels = game.observe(state), painted.observe(state)
        assert (pixels.dtype, pixels.shape) == (np.uint8, (*classes.shape, 3))
        assert pixels[0, 0] in painted.observation_space
        for index in np.unique(classes).tolist():
            assert (pixels[classes == index] == COLOURS[index]).all()
            met.add(index)
        np.testing.assert_array_equal(painted.world(state), game.world(state))
    assert len(met) >= 5


def test_every_class_has_its_colour() -> None:
    assert coloured(np.arange(14)).tolist() == [list(COLOURS[index]) for index in range(14)]


def test_only_what_is_seen_differs() -> None:
    episodes: list[Any] = []
    for observation in ("classes", "rgb"):
        game = make("harvest/ssd", observation=observation)
        state = game.reset(np.arange(3, dtype=np.uint64))
        state, events = game.step(state, np.full(state.facing.shape, game.action_names.index("fire")))
        episodes.append((state, events, game.rewards(events)))
    np.testing.assert_equal(*episodes)
    view = parallel_env("harvest/ssd", observation="rgb")
    observations, _ = view.reset(seed=0)
    assert view.observation_space("agent_0").contains(observations["agent_0"])
    with pytest.raises(UsageError, match="'classes' or 'rgb'"):
        make("harvest/ssd", observation="RGB")


def test_networks_read_pixels_as_three_planes_from_0_to_1() -> None:
    torch.manual_seed(0)
    shape = shape_of(make("harvest/ssd", observation="rgb", view=5))
    assert shape == Shape((5, 5, 3), 0, True)
    assert not shape_of(make("harvest/ssd")).pixels
    assert not shape_of(make("coin_game/ivanov-3x3")).pixels
    cells, beside = torch.randint(256, (6, 5, 5, 3)).float(), torch.randn(6, 2)
    rows, planes = torch.cat([cells.flatten(1), beside], dim=1), cells.permute(0, 3, 1, 2) / 255
    flat = Encoder(shape, extra=2, encoder="mlp", hidden=(8,))
    assert torch.equal(flat(rows), flat.dense(torch.cat([cells.flatten(1) / 255, beside], dim=1)))
    conv = Encoder(shape, extra=2, encoder="conv", hidden=(8,))
    assert conv.sight.convolution is not None
    found = conv.sight.convolution(planes)
    assert found.shape == (6, 16, 2, 2)
    assert torch.equal(conv(rows), conv.dense(torch.cat([found.flatten(1), beside], dim=1)))
