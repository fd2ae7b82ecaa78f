"""Cleanup: its rules as pictures, what holds in every state, and the lists of what chance may do.

In a picture cells stand apart: `@` wall, `.` floor, `H` waste, `R` clean river, `S` stream, `B` apple cell, `*` apple,
and a lower case letter for an agent, before what it stands on. Their facings are given as `^ > v <`.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymaster.core.config import UsageError
from paymaster.core.random import episode_keys
from paymaster.envs import make
from paymaster.envs.cleanup.game import Cleanup, State
from paymaster.envs.cleanup.kernels import probabilities
from paymaster.equilibria.tables.tabulate import tabulate

L, R, U, D, STAY, TURN_RIGHT, TURN_LEFT, CLEAN, FIRE = range(9)  # actions of `ssd`
AGENTS, FACINGS = "abcdefgh", "^>v<"
SHOWN = {1: ".", 2: "@", 3: "*", 10: "R", 11: "S", 12: "H"}
NEVER = {"apple_probability": 0.0, "waste_probability": 0.0}


def words(picture: str) -> list[list[str]]:
    return [line.split() for line in picture.strip().splitlines()]


def game_of(picture: str, **rules: Any) -> Any:
    """`ssd` on the map of a picture, with spawn points in a walled row below."""
    rows = ["".join(word.lstrip(AGENTS) or " " for word in line) for line in words(picture)]
    rows = [row.replace(".", " ").replace("*", "B") for row in rows]
    width = len(rows[0])
    rows += ["@" * width, *["P" * width] * (8 // width + 1), "R" + "@" * (width - 1)]
    players = max(2, sum(word[0] in AGENTS for line in words(picture) for word in line))
    return make("cleanup/ssd", **{"map": tuple(rows), "players": players, **NEVER, **rules})


def read(game: Cleanup, picture: str, facing: str = "", B: int = 1) -> State:
    """The state of a picture, `B` times; who is not in it stands on a spawn point, facing up."""
    state = game.reset(np.arange(B, dtype=np.uint64))
    state.facing[:] = 0
    for i, front in enumerate(facing.split()):
        state.facing[:, i] = FACINGS.index(front)
    for r, line in enumerate(words(picture)):
        for c, word in enumerate(line):
            for letter in word:
                if letter in AGENTS:
                    state.agents[:, AGENTS.index(letter)] = r, c
                elif letter in "*HR":
                    state.board[:, r, c] = {"*": 3, "H": 12, "R": 10}[letter]
    return state


def drawn(game: Cleanup, state: State, rows: int) -> str:
    """The picture of the first environment."""
    lines = []
    for r in range(rows):
        line = []
        for c, character in enumerate(game.map[r]):
            here = "".join(AGENTS[i] for i, at in enumerate(state.agents[0].tolist()) if at == [r, c])
            thing = SHOWN[int(state.board[0, r, c])]
            ground = "B" if thing == "." and character == "B" else thing
            line.append(here + (ground if not here or ground != "." else ""))
        lines.append(" ".join(line))
    return "\n".join(lines)


def chance(game: Cleanup, *, winners: tuple[float, ...] = (), order: tuple[float, ...] = ()) -> np.ndarray:
    """(1, S) draws: who enters contested cells, the order of the beams; else nothing happens by chance."""
    N = game.players
    draws = np.full((1, 2 * N + 2 + len(game._rules.apple_cells)), 0.999)
    draws[0, :N] = 0.0
    draws[0, : len(winners)] = winners
    draws[0, N : N + len(order)] = order
    return draws


def assert_step(
    before: str,
    actions: list[int],
    after: str,
    *,
    facing: str = "",
    turned: str = "",
    winners: tuple[float, ...] = (),
    order: tuple[float, ...] = (),
    rules: dict[str, Any] | None = None,
    **events: list[int],
) -> None:
    """Play one step; `events` are each agent's `ate`, `cleaned`, `fired`, `hit` and `rewards`."""
    game = game_of(before, **(rules or {}))
    actions = actions + [STAY] * (game.players - len(actions))
    draws = chance(game, winners=winners, order=order)
    state, told = game.play(read(game, before, facing), np.array([actions]), draws)
    assert drawn(game, state, len(words(before))) == "\n".join(" ".join(line) for line in words(after))
    if turned:
        assert " ".join(FACINGS[f] for f in state.facing[0])[: len(turned)] == turned
    for name, values in events.items():
        got = game.rewards(told)[0] if name == "rewards" else getattr(told, name)[0]
        assert got.tolist()[: len(values)] == values, name


# Moves and turns


@pytest.mark.parametrize(
    ("front", "action", "after"),
    [
        ("^", U, ". a .\n. . .\n. . ."), ("^", L, ". . .\na . .\n. . ."),
        ("^", R, ". . .\n. . a\n. . ."), ("^", D, ". . .\n. . .\n. a ."),
        (">", U, ". . .\n. . a\n. . ."), (">", L, ". a .\n. . .\n. . ."),
        (">", R, ". . .\n. . .\n. a ."), (">", D, ". . .\na . .\n. . ."),
        ("v", U, ". . .\n. . .\n. a ."), ("v", L, ". . .\n. . a\n. . ."),
        ("<", U, ". . .\na . .\n. . ."), ("<", R, ". a .\n. . .\n. . ."),
    ],
)  # fmt: skip
def test_moves_are_relative_to_the_facing_which_they_keep(front: str, action: int, after: str) -> None:
    assert_step(". . .\n. a .\n. . .", [action], after, facing=front, turned=front)


@pytest.mark.parametrize(
    ("front", "right", "left"), [("^", ">", "<"), (">", "v", "^"), ("v", "<", ">"), ("<", "^", "v")]
)
def test_turns_keep_the_place(front: str, right: str, left: str) -> None:
    assert_step(". a", [TURN_RIGHT], ". a", facing=front, turned=right)
    assert_step(". a", [TURN_LEFT], ". a", facing=front, turned=left)


def test_walls_and_the_edge_of_the_map_stop_moves() -> None:
    for action in (L, R, U, D):
        assert_step("@ @ @\n@ a @\n@ @ @", [action], "@ @ @\n@ a @\n@ @ @")
    assert_step("a . .", [L], "a . .")
    assert_step("a . .", [U], "a . .")
    assert_step(". . a", [R], ". . a")


def test_water_waste_and_apple_cells_can_be_walked_on() -> None:
    for ground in ("H", "R", "S", "B"):
        assert_step(f"a {ground}", [R], f". a{ground}")


def test_an_agent_that_keeps_its_cell_blocks() -> None:
    for action in (STAY, TURN_RIGHT, CLEAN, FIRE, U):
        assert_step("a b .\n@ @ @", [R, action], "a b .\n@ @ @", facing="^ ^")


def test_a_random_winner_takes_a_cell_that_several_want() -> None:
    before = "a . b\n@ c @"
    for drawn_, after in [(0.1, ". a b\n@ c @"), (0.5, "a b .\n@ c @"), (0.9, "a c b\n@ . @")]:
        assert_step(before, [R, L, U], after, winners=(drawn_,))


def test_the_first_of_those_who_want_a_cell_holds_its_draw() -> None:
    before, after = "a @ @ @\n@ b . c", "a @ @ @\n@ b c ."
    assert_step(before, [STAY, R, L], after, winners=(0.0, 0.9, 0.0))


def test_a_loser_stays_and_blocks_who_follows() -> None:
    assert_step("c a . b", [R, L, R], "c a b .", winners=(0.9,))  # b wins
    assert_step("c a . b", [R, L, R], ". c a b", winners=(0.1,))


def test_chains_move() -> None:
    assert_step("a b c .", [R, R, R], ". a b c")
    assert_step("c b a .", [R, R, R], ". c b a")


def test_a_chain_behind_one_that_bumps_stays() -> None:
    assert_step("a b c @", [R, R, R], "a b c @")


def test_two_agents_never_swap() -> None:
    assert_step("a b", [R, L], "a b")
    assert_step("a b .\n@ c @", [R, L, U], "a b .\n@ c @", winners=(0.0, 0.0))  # nor does a third get in
    assert_step("a b .\n@ c @", [R, L, U], "a b .\n@ c @", winners=(0.9, 0.9))


def test_cycles_of_three_or_more_rotate() -> None:
    assert_step("a b\nd c", [R, D, L, U], "d a\nc b")
    assert_step("a b e\nd c f", [R, R, L, U, D, L], "d a b\nc f e")


def test_an_agent_that_wants_into_a_cycle_may_take_its_part_and_break_it() -> None:
    before = "e a b\n@ d c"
    assert_step(before, [R, D, L, U, R], "e d a\n@ c b", winners=(0.0, 0.0, 0.0, 0.0))  # d goes on into a's cell
    assert_step(before, [R, D, L, U, R], before, winners=(0.0, 0.0, 0.0, 0.9))  # e takes it, and nobody can leave


def test_nobody_enters_a_cell_whose_occupant_does_not_leave() -> None:
    """b loses the cell that it wants to a, so it stays, and c, who has won b's cell, does not enter."""
    assert_step("a . b c", [R, L, L], ". a b c", winners=(0.0,))


# Eating


def test_who_comes_onto_an_apple_eats_it() -> None:
    assert_step("a * .", [R], ". aB .", ate=[1, 0], rewards=[1.0, 0.0])


def test_everyone_eats_whatever_it_does() -> None:
    for action in (STAY, TURN_LEFT, CLEAN, U):
        assert_step("a* .", [action], "aB .", ate=[1], rewards=[1.0])
    assert_step("a* .", [FIRE], "aB .", ate=[1], rewards=[0.0])


def test_who_loses_the_apples_cell_eats_nothing() -> None:
    assert_step("a * b", [R, L], "a bB .", winners=(0.7,), ate=[0, 1])


# Clean beams

WIDE = "H H H H H\nR R R R R\nR R R R R\nR R R R R\nR R R R R\nR R aR R R"


def test_three_rays_clean_the_first_waste_of_each() -> None:
    before = "R H R\nH H H\nR R R\nR a R"
    assert_step(before, [CLEAN], "R H R\nR R R\nR R R\nR a R", cleaned=[3], rewards=[0.0])


def test_the_centre_ray_reaches_five_ahead_and_the_side_rays_four() -> None:
    assert_step(WIDE, [CLEAN], WIDE.replace("H H H H H", "H H R H H"), cleaned=[1])


def test_the_side_rays_start_level_with_the_agent() -> None:
    assert_step("R R R R\nR H aR H\nR H H H", [CLEAN], "R R R R\nR R aR R\nR H H H", cleaned=[2])


def test_nobody_cleans_the_cell_it_stands_on() -> None:
    assert_step("R aH R", [CLEAN], "R aH R", cleaned=[0])


@pytest.mark.parametrize(
    ("front", "after"),
    [
        ("^", "H R H\nH a H\nH H H"), (">", "H H H\nH a R\nH H H"),
        ("v", "H H H\nH a H\nH R H"), ("<", "H H H\nR a H\nH H H"),
    ],
)  # fmt: skip
def test_beams_go_where_the_agent_faces(front: str, after: str) -> None:
    assert_step("H H H\nH a H\nH H H", [CLEAN], after, facing=front, cleaned=[1], rules={"beam_width": 1})


def test_side_rays_turn_with_the_agent() -> None:
    assert_step("H H H\nH a H\nH H H", [CLEAN], "H R H\nH a R\nH R H", facing=">", cleaned=[3])


def test_walls_stop_a_ray() -> None:
    assert_step("H H H\n@ @ R\nR a R", [CLEAN], "H H R\n@ @ R\nR a R", cleaned=[1])


def test_agents_stop_a_ray_and_waste_under_them_is_cleaned() -> None:
    assert_step("H H H\nR b cH\nR a R", [CLEAN], "R H H\nR b cR\nR a R", cleaned=[2])


def test_apples_and_streams_do_not_stop_a_ray() -> None:
    assert_step("H H H\nS * B\n. a .", [CLEAN], "R R R\nS * B\n. a .", cleaned=[3])


def test_the_next_agent_sees_the_map_as_the_last_one_left_it() -> None:
    """a and b stand in one column, back to back with the waste that both can reach from either side."""
    before, rules = "a H H b", {"beam_width": 1}
    assert_step(before, [CLEAN, CLEAN], "a R R b", facing="> <", cleaned=[1, 1], rules=rules)
    before = "a H b"
    assert_step(before, [CLEAN, CLEAN], "a R b", facing="> <", order=(0.1, 0.2), cleaned=[1, 0], rules=rules)
    assert_step(before, [CLEAN, CLEAN], "a R b", facing="> <", order=(0.2, 0.1), cleaned=[0, 1], rules=rules)
    agents = {**rules, "beam_order": "agents"}
    assert_step(before, [CLEAN, CLEAN], "a R b", facing="> <", order=(0.2, 0.1), cleaned=[1, 0], rules=agents)


def test_every_beam_goes_even_if_the_draws_are_equal() -> None:
    assert_step(
        "a H H b", [CLEAN] * 2, "a R R b", facing="> <", order=(0.0, 0.0), cleaned=[1, 1], rules={"beam_width": 1}
    )


def test_an_agent_moves_before_beams_go() -> None:
    """b steps in front of the waste that a cleans, and a's ray stops at it."""
    assert_step("H R R\n. b .\na @ @", [CLEAN, L], "H R R\nb . .\na @ @", cleaned=[0])


# Fire beams


def test_firing_costs_one_and_being_hit_fifty() -> None:
    assert_step("b . .\n. . .\n. a .", [FIRE], "b . .\n. . .\n. a .", fired=[1, 0], hit=[0, 1], rewards=[-1.0, -50.0])
    assert_step("a . .", [FIRE], "a . .", fired=[1], rewards=[-1.0])


def test_fire_passes_waste_and_apples_and_cleans_nothing() -> None:
    assert_step("b\nH\n*\na", [FIRE], "b\nH\n*\na", hit=[0, 1], cleaned=[0, 0])


def test_walls_and_the_first_agent_stop_fire() -> None:
    assert_step("b\n@\na", [FIRE], "b\n@\na", hit=[0, 0])
    assert_step("c\nb\na", [FIRE], "c\nb\na", hit=[0, 1, 0])


def test_fire_reaches_as_far_as_a_clean_beam() -> None:
    far = "b\n.\n.\n.\n.\na"
    assert_step(far, [FIRE], far, hit=[0, 1])
    assert_step("b\n.\n.\n.\n.\n.\na", [FIRE], "b\n.\n.\n.\n.\n.\na", hit=[0, 0])
    assert_step("b .\n. .\n. .\n. .\n. .\n. a", [FIRE], "b .\n. .\n. .\n. .\n. .\n. a", hit=[0, 0])


def test_each_of_two_fires_hits() -> None:
    assert_step("a c b", [FIRE, FIRE], "a c b", facing="> <", hit=[0, 0, 2], rewards=[-1.0, -1.0, -100.0])


def test_a_hit_neither_freezes_nor_moves() -> None:
    assert_step("b .\na .", [FIRE, R], ". b\na .", hit=[0, 1])


# What appears


def rates(preset: str, waste: int) -> tuple[float, float]:
    return probabilities(make(f"cleanup/{preset}")._rules, waste)


def test_apples_and_waste_of_the_small_maps() -> None:
    """LIO's numbers: all waste, nothing; after one clean 1/12 and 1/2; after two 1/2 and 3/4."""
    assert rates("lio-7x7", 2) == (0.0, 0.0)
    assert rates("lio-7x7", 1) == pytest.approx((0.5 / 6, 0.5))
    assert rates("lio-7x7", 0) == pytest.approx((0.5, 0.75))
    assert rates("lio-10x10", 7)[0] == 0.0
    assert rates("lio-10x10", 6)[0] == pytest.approx(0.01875)
    assert rates("lio-10x10", 5)[0] == pytest.approx(0.01875 + 0.046875)
    assert rates("lio-10x10", 0)[0] == pytest.approx(0.3)


def test_apples_and_waste_of_the_large_map() -> None:
    assert rates("ssd", 48) == (0.0, 0.0)  # 48 / 119 is above 0.4
    assert rates("ssd", 47)[0] == pytest.approx(0.05 * (1 - 47 / 119 / 0.4))
    assert rates("ssd", 47)[1] == pytest.approx(1.0)
    assert rates("ssd", 0)[0] == pytest.approx(0.05)


def test_waste_tried_cell_by_cell_is_waste_drawn_at_once() -> None:
    """Trying the clean cells in random order, each with p, up to the first success: how often, and where."""
    dice, p, n, B = np.random.default_rng(3), 0.3, 4, 40_000
    success = dice.random((B, n)) < p
    order = np.argsort(dice.random((B, n)), axis=1)
    where = np.where(success.any(axis=1), order[np.arange(B), success.argmax(axis=1)], n)
    seen = np.bincount(where, minlength=n + 1) / B
    game = make("cleanup/lio-7x7", map=("HHHHB", "PP   "), waste_probability=p, depletion=2.0)
    assert probabilities(game._rules, 0)[1] == pytest.approx(1 - (1 - p) ** n)
    expected = [(1 - (1 - p) ** n) / n] * n + [(1 - p) ** n]
    assert (np.abs(seen - expected) < 6 * np.sqrt(0.25 / B)).all()


def appeared(before: str, waste: float, where: float, apples: float, **rules: Any) -> str:
    """The picture after a step in which nobody moves, `apples` being the draw of each apple cell."""
    game = game_of(before, **{"depletion": 2.0, "apple_probability": 0.5, "waste_probability": 0.5, **rules})
    draws, N = chance(game), game.players
    draws[0, 2 * N], draws[0, 2 * N + 1], draws[0, 2 * N + 2 :] = waste, where, apples
    state, _ = game.play(read(game, before), np.full((1, N), STAY), draws)
    return drawn(game, state, len(words(before)))


def test_apples_grow_where_neither_an_apple_nor_an_agent_is() -> None:
    assert appeared("B * aB\nR R R", 0.999, 0, 0.0) == "* * aB\nR R R"


def test_at_most_one_waste_appears_a_step_and_it_may_lie_under_an_agent() -> None:
    assert appeared("R aR H", 0.0, 0.0, 1.0) == "H aR H"
    assert appeared("R aR H", 0.0, 0.5, 1.0) == "R aH H"
    assert appeared("R aR H", 0.999, 0.5, 1.0) == "R aR H"


def test_nothing_appears_from_the_depletion_on() -> None:
    """The river has 4 cells, the one below the picture included; 3 of 4 is the depletion."""
    assert appeared("H H B\nH a .", 0.0, 0.0, 0.0, depletion=0.75) == "H H B\nH a ."
    assert appeared("H R B\nH a .", 0.0, 0.0, 0.0, depletion=0.75) == "H H *\nH a ."


def test_the_share_of_waste_counts_after_the_beams() -> None:
    game = game_of("H H B\n. a .", depletion=0.5, apple_probability=1.0)  # 2 of 3 before, 1 of 3 after
    draws = chance(game)
    draws[0, 2 * game.players :] = 0.0
    state, _ = game.play(read(game, "H H B\n. a ."), np.array([[CLEAN, STAY]]), draws)
    assert state.board[0, 0, 2] == 3


def test_streams_and_floor_never_get_waste() -> None:
    assert appeared("S . B\n. a S", 0.0, 0.99, 1.0) == "S . B\n. a S"


def test_nothing_grows_below_where_an_apple_is_eaten_in_the_same_step() -> None:
    assert appeared("a* .", 0.999, 0.0, 0.0) == "aB ."


# The start


def test_maps_have_the_counts_of_their_source() -> None:
    counts = Counter("".join(make("cleanup/ssd").map))
    assert {ch: counts[ch] for ch in "@RHBPS"} == {"@": 82, "R": 63, "H": 56, "B": 103, "P": 10, "S": 12}
    assert (len(make("cleanup/ssd").map), len(make("cleanup/ssd").map[0])) == (25, 18)
    assert len(make("cleanup/lio-10x10")._rules.waste_cells) == 16


def test_small_maps_start_in_fixed_cells_facing_up() -> None:
    assert make("cleanup/lio-7x7").reset(np.arange(3, dtype=np.uint64)).agents.tolist() == [[[5, 2], [1, 4]]] * 3
    state = make("cleanup/lio-10x10", players=3).reset(np.arange(1, dtype=np.uint64))
    assert state.agents.tolist() == [[[8, 3], [5, 4], [1, 6]]]
    assert not state.facing.any()


def test_agents_start_on_different_spawn_points_any_of_them_facing_anywhere() -> None:
    game = make("cleanup/ssd")
    state = game.reset(np.arange(3000, dtype=np.uint64))
    places = state.agents.astype(int) @ [18, 1]
    assert all(len({*row}) == 5 for row in places.tolist())
    assert {*places[:, 4].tolist()} == {
        r * 18 + c for r, row in enumerate(game.map) for c, ch in enumerate(row) if ch == "P"
    }
    assert (np.bincount(state.facing[:, 3]) > 600).all()
    assert (state.board == state.board[0]).all()
    assert (state.board[0] == 12).sum() == 56
    assert not (state.board[0] == 3).any()


def test_an_episode_depends_on_its_key_alone() -> None:
    game, B = make("cleanup/ssd"), 6
    actions = np.random.default_rng(0).integers(9, size=(20, B, 5))
    together, alone = game.reset(np.arange(B, dtype=np.uint64)), game.reset(np.full(1, 4, np.uint64))
    for t in range(20):
        together, alone = game.step(together, actions[t])[0], game.step(alone, actions[t, 4:5])[0]
    for one, other in zip(together, alone, strict=True):
        assert (one[4] == other[0]).all()


# What is seen

AROUND = "H R S\n* a b\n@ c ."


def test_a_window_shows_what_lies_around_its_front_up() -> None:
    game = game_of(AROUND, view=3)
    for front, seen in [
        ("^", [[12, 10, 11], [3, 4, 6], [2, 7, 1]]),
        (">", [[11, 5, 1], [10, 4, 6], [12, 3, 2]]),
        ("v", [[1, 8, 2], [8, 4, 3], [11, 10, 12]]),
        ("<", [[2, 3, 12], [5, 4, 10], [1, 7, 11]]),
    ]:
        facings = {"^": "^ > v", ">": "> > v", "v": "v > >", "<": "< > <"}[front]
        assert game.observe(read(game, AROUND, facings))[0, 0].tolist() == _with_facings(seen, facings)


def _with_facings(seen: list[list[int]], facings: str) -> list[list[int]]:
    """The agents b and c of `seen`, as a sees them: 5 + their quarter turns clockwise from a's facing."""
    a, b, c = (FACINGS.index(front) for front in facings.split())
    row_b, column_b = {0: (1, 2), 1: (0, 1), 2: (1, 0), 3: (2, 1)}[a]
    row_c, column_c = {0: (2, 1), 1: (1, 2), 2: (0, 1), 3: (1, 0)}[a]
    seen[row_b][column_b] = 5 + (b - a) % 4
    seen[row_c][column_c] = 5 + (c - a) % 4
    return seen


def test_off_the_map_is_void_and_no_wall() -> None:
    game = game_of("a @\n. .", view=3)
    assert game.observe(read(game, "a @\n. ."))[0, 0].tolist() == [[0, 0, 0], [0, 4, 2], [0, 1, 1]]


def test_beams_are_seen_where_they_went_but_for_apples_waste_and_agents() -> None:
    before = ". B .\n* H .\nR a .\n. . ."
    game = game_of(before, view=5)
    state, _ = game.play(read(game, before), np.array([[CLEAN, STAY]]), chance(game))
    seen = game.observe(state)[0, 0]
    assert seen.tolist() == [[0, 13, 1, 13, 0], [0, 3, 13, 13, 0], [0, 13, 4, 13, 0], [0, 1, 1, 1, 0], [0, 2, 2, 2, 0]]
    state, _ = game.play(state, np.array([[FIRE, STAY]]), chance(game))
    assert game.observe(state)[0, 0][:3].tolist() == [[0, 9, 9, 9, 0], [0, 3, 9, 9, 0], [0, 9, 4, 9, 0]]
    state, _ = game.play(state, np.array([[STAY, STAY]]), chance(game))
    assert not np.isin(game.observe(state), (9, 13)).any()


def test_the_scene_shows_the_beams_that_the_state_has() -> None:
    before = ". B .\n* H .\nR a .\n. . ."
    game = game_of(before)
    state, events = game.play(read(game, before), np.array([[CLEAN, STAY]]), chance(game))
    scene = game.scene(state, events, 0)
    assert scene.ground == game.map
    beams = {(s.row, s.column) for s in scene.sprites if s.kind == "beam-clean"}
    assert beams == {*map(tuple, np.argwhere(state.beams[0] == 13).tolist())} == {
        (0, 0), (1, 0), (2, 0), (1, 1), (0, 2), (1, 2), (2, 2)
    }  # fmt: skip
    assert [(s.row, s.column) for s in scene.sprites if s.kind == "apple"] == [(1, 0)]
    assert next((s.row, s.column, s.colour, s.facing) for s in scene.sprites if s.kind == "agent") == (2, 1, 0, 0)
    assert scene.caption == "step 1; agent_0 cleans 1"


def test_the_world_tells_the_agents_and_their_facings_apart() -> None:
    game = game_of("a b\n* H")
    world = game.world(read(game, "a b\n* H", "> v"))
    assert world[0, :2].tolist() == [[14 + 1, 14 + 4 + 2], [3, 12]]


def test_actions_have_names() -> None:
    assert make("cleanup/ssd").action_names == (
        "left", "right", "up", "down", "stay", "turn_clockwise", "turn_counterclockwise", "clean", "fire",
    )  # fmt: skip
    assert make("cleanup/lio-7x7").action_names == ("left", "right", "up", "down", "stay", "clean")
    assert make("cleanup/lio-7x7", fire=True).action_names[-2:] == ("clean", "fire")


# What holds in every step


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32), st.booleans())
def test_agents_never_share_a_cell_and_steps_change_what_they_may(players: int, seed: int, crowd: bool) -> None:
    rules: dict[str, Any] = {"map": ("PHPB", "PRBP", "PB@P", "HPPP"), "depletion": 2.0} if crowd else {}
    game, B, dice = make("cleanup/ssd", players=players, **rules), 16, np.random.default_rng(seed)
    state = game.reset(episode_keys(seed, 0, np.arange(B), np.zeros(B, np.int64)))
    for _ in range(8):
        before = tuple(array.copy() for array in state)
        following, events = game.step(state, dice.integers(9, size=(B, players)))
        assert all((one == other).all() for one, other in zip(before, state, strict=True))
        moved = np.abs(following.agents.astype(int) - state.agents).sum(axis=2)
        assert moved.max() <= 1
        assert all(len({*map(tuple, row)}) == players for row in following.agents.tolist())
        waste = (following.board == 12).sum(axis=(1, 2)) - (state.board == 12).sum(axis=(1, 2))
        assert np.isin(waste + events.cleaned.sum(axis=1), (0, 1)).all()
        assert (events.cleaned <= 3).all()
        state = following


# The table

LIO = make("cleanup/lio-7x7")
SMALL = ("@@@@@", "@HPB@", "@PPB@", "@@@@@")


def reaching(*waste: tuple[int, int]) -> dict[tuple[int, int], set[tuple[int, int]]]:
    """From where agent 0 cleans each cell of the `waste`, the other agent out of the way."""
    reached: dict[tuple[int, int], set[tuple[int, int]]] = {cell: set() for cell in waste}
    for row, column in LIO._walkable.tolist():
        state = LIO.reset(np.zeros(1, np.uint64))
        state.agents[0] = (row, column), (5, 4) if (row, column) != (5, 4) else (5, 5)
        for cell in [(1, 1), (2, 1)]:
            state.board[(0, *cell)] = 12 if cell in waste else 10
        after, events = LIO.play(state, np.array([[5, 4]]), np.full((1, 11), 0.999))
        now_clean = [cell for cell in waste if after.board[(0, *cell)] == 10]
        assert events.cleaned[0, 0] == len(now_clean) <= 1
        for cell in now_clean:
            reached[cell].add((row, column))
    return reached


def test_one_clean_reaches_one_cell_of_the_small_map() -> None:
    below = {(row, column) for row in (3, 4, 5) for column in (1, 2)} | {(2, 2)}
    assert reaching((1, 1), (2, 1)) == {(1, 1): {(1, 2), (2, 1)}, (2, 1): below}
    assert reaching((2, 1)) == {(2, 1): below}
    assert reaching((1, 1)) == {(1, 1): below | {(1, 2), (2, 1)}}  # from below, too, once (2, 1) is clean


def test_states_of_the_small_map() -> None:
    """25 x 24 places of the agents, 4 of the waste, 32 of the apples."""
    assert LIO.states == 25 * 24 * 4 * 32 == 76_800


def test_every_state_has_its_index() -> None:
    game = make("cleanup/lio-7x7", map=SMALL, players=3, start_cells="drawn")
    assert game.states == 6 * 5 * 4 * 2 * 4
    assert (game.index(game.representatives()) == np.arange(game.states)).all()
    assert (LIO.index(LIO.representatives()) == np.arange(LIO.states)).all()


def test_an_index_counts_places_then_waste_then_apples() -> None:
    state = LIO.reset(np.zeros(1, np.uint64))
    rank = {cell: k for k, cell in enumerate([(r, c) for r in range(1, 6) for c in range(1, 6)])}
    places = rank[5, 2] * 24 + rank[1, 4]
    assert LIO.index(state).tolist() == [(places * 4 + 3) * 32]
    state.board[0, 5, 5], state.board[0, 2, 1] = 3, 10
    assert LIO.index(state).tolist() == [(places * 4 + 2) * 32 + 1]


@pytest.mark.parametrize("rules", [{}, {"players": 3, "waste_probability": 1.0, "depletion": 1.5}])
def test_every_step_that_is_played_is_in_the_table_as_often_as_it_should(rules: dict[str, Any]) -> None:
    game: Any = make("cleanup/lio-7x7", map=SMALL, start_cells="drawn", **{"depletion": 1.2, **rules})
    table = tabulate(game)
    B, T, J = 500, 40, len(table.actions)
    state, dice = game.reset(episode_keys(1, 0, np.arange(B), np.zeros(B, np.int64))), np.random.default_rng(5)
    seen: Counter[tuple[int, int, int]] = Counter()
    for _ in range(T):
        actions = table.actions[dice.integers(J, size=B)]
        following, events = game.step(state, actions)
        s, j, after = game.index(state), table.joint(actions), game.index(following)
        seen.update(zip(s.tolist(), j.tolist(), after.tolist(), strict=True))
        certain = game.outcomes(state, actions)[1].max(axis=1) > 1 - 1e-12
        np.testing.assert_allclose(table.rewards[s, j][certain], game.rewards(events)[certain], atol=1e-6)
        np.testing.assert_allclose(table.facts[s, j][certain], game.facts(events)[certain], atol=1e-6)
        state = following
    played: Counter[tuple[int, int]] = Counter()
    for (s_, j_, _after), count in seen.items():
        played[s_, j_] += count
    for (s_, j_, after_), count in seen.items():
        d = table.following[s_, j_]
        entries = slice(table.offsets[d], table.offsets[d + 1])
        at = np.flatnonzero(table.successors[entries] == after_)
        assert len(at) == 1, (s_, j_, after_)
        p, n = float(table.probabilities[entries][at[0]]), played[s_, j_]
        assert abs(count - n * p) <= 6 * math.sqrt(n * p * (1 - p)) + 6
    np.testing.assert_allclose(np.add.reduceat(table.probabilities, table.offsets[:-1]), 1.0, atol=1e-12)
    assert table.start.sum() == pytest.approx(1.0)


class Unshared:
    """A game that does not say which joint actions come to the same."""

    def __init__(self, game: Any) -> None:
        self.game = game

    def __getattr__(self, name: str) -> Any:
        if name == "transition_key":
            raise AttributeError(name)
        return getattr(self.game, name)


@pytest.mark.parametrize(
    "rules", [{"depletion": 1.2}, {"players": 3, "depletion": 1.5}, {"fire": True, "depletion": 1.2, "beam_width": 3}]
)
def test_a_table_is_the_same_where_what_comes_to_the_same_is_played_once(rules: dict[str, Any]) -> None:
    game: Any = make("cleanup/lio-7x7", map=SMALL, start_cells="drawn", **rules)
    up = game.transition_key(game.representatives(), np.zeros((game.states, game.players), np.int64))
    assert len({*up.tolist()}) < game.states  # who goes up ends where who stands there already stays
    for shared, whole in zip(tabulate(game), tabulate(Unshared(game)), strict=True):
        np.testing.assert_array_equal(shared, whole)


def test_draws_listed_lead_to_different_states_and_sum_to_one() -> None:
    state = LIO.reset(np.zeros(1, np.uint64))
    state.agents[0] = (3, 3), (3, 5)
    state.board[0, 1, 1] = state.board[0, 2, 1] = 10
    draws, chances = LIO.outcomes(state, np.array([[1, 0]]))  # both want (3, 4), and all five apple cells may bear
    assert chances.shape == (1, 3 * 2**5 + 3 * 2**4)  # where agent 1 stays, no apple grows under it
    assert chances.sum() == pytest.approx(1.0)
    K = draws.shape[1]
    after, _ = LIO.play(State(*(np.repeat(a, K, axis=0) for a in state)), np.tile([1, 0], (K, 1)), draws[0])
    assert len({*LIO.index(after).tolist()}) == K


# A user's mistakes


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"map": ("PPH", "PP")}, r"row 1 of the map has 2 cells and row 0 has 3"),
        ({"map": ("PPHX",)}, r"the map has 'X'; its characters may be '@', ' ', 'P'"),
        ({"map": ("  H",)}, r"0 spawn points 'P' for 5 players"),
        ({"map": ("PPPPH",)}, r"4 spawn points 'P' for 5 players"),
        ({"map": ("PPPPPB",)}, r"no river.*'H'"),
        ({"map": ()}, r"the map is empty"),
        ({"map": ("P" * 101,)}, r"1 x 101 cells; 100 x 100"),
        ({"map": 3}, r"map.*got 3"),
        ({"view": 4}, r"view is 4; ask for an odd number"),
        ({"beam_width": 2}, r"beam_width is 2; ask for an odd number"),
        ({"beam_length": 0}, r"beam_length.*got 0"),
        ({"players": 11}, r"10 spawn points 'P' for 11 players"),
        ({"players": 1}, r"players.*got 1"),
        ({"restoration": 0.4}, r"restoration 0.4 is not below depletion 0.4"),
        ({"apple_probability": 1.5}, r"apple_probability.*got 1.5"),
        ({"waste_probability": float("nan")}, r"waste_probability"),
        ({"hit_cost": float("inf")}, r"hit_cost.*finite"),
        ({"start_cells": "random"}, r"start_cells.*'drawn' or 'fixed'.*got 'random'"),
        ({"beam_order": "random"}, r"beam_order.*'drawn' or 'agents'"),
        ({"grid": 3}, r"unknown parameter of game cleanup/ssd 'grid'"),
    ],
)
def test_a_rule_that_is_not_allowed_is_told(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make("cleanup/ssd", **rules)


def test_an_action_that_does_not_exist_is_told() -> None:
    state = LIO.reset(np.zeros(1, np.uint64))
    for play in (LIO.step, LIO.outcomes):
        with pytest.raises(
            UsageError, match=r"actions from 0 to 6.*0 to 5 are allowed \(left, right, up, down, stay, clean"
        ):
            play(state, np.array([[0, 6]]))
        with pytest.raises(UsageError, match=r"shape \(1, 1\)"):
            play(state, np.array([[0]]))


def test_games_without_a_table_say_so() -> None:
    with pytest.raises(UsageError, match="set turning=false and beam_order='agents'"):
        make("cleanup/ssd").representatives()
    with pytest.raises(UsageError, match=r"states are too many to list.*smaller map or fewer players"):
        make("cleanup/lio-10x10").representatives()
    with pytest.raises(UsageError, match="starts are too many"):
        make("cleanup/ssd", players=10).starts()
