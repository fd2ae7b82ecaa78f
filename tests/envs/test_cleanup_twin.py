"""Cleanup against a slow, plain twin: written from the rules, with numbers, tuples, sets and dicts only."""

from __future__ import annotations

from typing import Any

import pytest

from paymaster.core.config import to_json
from paymaster.envs import make
from paymaster.envs.cleanup.game import Cleanup

from .plain_grid import PlainGrid, assert_any_state_is_the_same, assert_same_episodes

CROWD = ("PHPB", "PRBP", "PB@P", "HPPP")  # no walls around it: the map's edge stops moves and rays
VARIANTS: dict[str, dict[str, Any]] = {
    **{preset: {} for preset in Cleanup.presets},
    "ssd of eight in a crowd": {
        "map": CROWD, "players": 8, "view": 5, "beam_length": 3, "depletion": 0.9, "restoration": 0.3,
        "apple_probability": 0.3, "waste_probability": 0.2, "hit_cost": 2.5, "truncates": False,
    },
    "ssd of six that clean in turn": {
        "map": CROWD, "players": 6, "view": 3, "beam_width": 5, "beam_order": "agents", "depletion": 2.0,
        "apple_probability": 0.5, "waste_probability": 1.0, "start_cells": "fixed", "fire_cost": 0.5,
    },
    "lio-7x7 of seven": {
        "map": CROWD, "players": 7, "apple_reward": 2.0, "beam_width": 1, "view": 1, "start_cells": "drawn",
        "depletion": 1.1, "fire": True, "beam_order": "drawn",
    },
    "ssd of ten": {"players": 10, "apple_probability": 0.5, "depletion": 0.6},
}  # fmt: skip


class Twin(PlainGrid):
    """One environment. `rules` are the fields of the game."""

    def __init__(self, rules: dict[str, Any], key: int) -> None:
        super().__init__(rules, key, classes=14)
        self.waste = set(self.cells("H"))

    def step(self, actions: list[str]) -> None:
        N = self.players
        self.begin_step("ate", "cleaned", "fired", "hit")
        self.go(actions)
        self.eat()
        shooters = [i for i in range(N) if actions[i] in ("clean", "fire")]
        if self.rules["beam_order"] == "drawn":
            shooters.sort(key=lambda i: self.uniform(N + i))
        for i in shooters:
            if actions[i] == "fire":
                self.fire(i)
            else:
                self.clean(i)
        self.spawn()

    def clean(self, i: int) -> None:
        dirty = set(self.waste)
        for ray in self.rays(i):
            for cell in ray:
                self.beams[cell] = "clean"
                if cell in dirty:
                    self.waste.remove(cell)
                    self.events["cleaned"][i] += 1
                if cell in dirty or cell in self.agents:
                    break

    def spawn(self) -> None:
        rules, N, river = self.rules, self.players, self.cells("HR")
        d = len(self.waste) / len(river)
        if d >= rules["depletion"]:
            return
        low, high = rules["restoration"], rules["depletion"]
        apple = rules["apple_probability"] * (1 if d <= low else 1 - (d - low) / (high - low))
        clean = [cell for cell in river if cell not in self.waste]
        if self.uniform(2 * N) < 1 - (1 - rules["waste_probability"]) ** len(clean):
            self.waste.add(clean[int(self.uniform(2 * N + 1) * len(clean))])
        for a, cell in enumerate(self.cells("B")):
            if self.uniform(2 * N + 2 + a) < apple and cell not in self.apples and cell not in self.agents:
                self.apples.add(cell)


def game_of(variant: str) -> Any:
    return make(f"cleanup/{variant.split()[0]}", **VARIANTS[variant])


@pytest.mark.parametrize("variant", VARIANTS)
def test_episodes_are_the_twins(variant: str) -> None:
    assert_same_episodes(game_of(variant), Twin)


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_state_steps_like_the_twins(variant: str) -> None:
    assert_any_state_is_the_same(game_of(variant), Twin)


def test_the_variants_meet_every_value_of_every_rule() -> None:
    """A rule that no variant changes would be compared in one value only."""
    met = [to_json(game_of(variant)) for variant in VARIANTS]
    for rule in met[0].keys() - {"observation"}:  # tests/test_rgb.py
        assert len({str(game[rule]) for game in met}) >= 2, rule
