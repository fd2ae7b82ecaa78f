"""The Coin Game: its rules as pictures, what holds in every state, and the lists of what chance may do.

In a picture lower case letters are agents (r 0, b 1, g 2) and capitals the coin of the same agent; things on the same
cell are written together, and cells stand apart.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymaster.core.arrays import where
from paymaster.core.config import UsageError
from paymaster.envs import make
from paymaster.envs.coin_game.game import CoinGame, Events, State

RIGHT, LEFT, DOWN, UP, STAY = range(5)
AGENTS, COINS = "rbg", "RBG"
PRESETS = list(CoinGame.presets)


def game_of(preset: str, **rules: Any) -> Any:
    return make(f"coin_game/{preset}", **rules)


def read(picture: str, t: int = 0, B: int = 1) -> State:
    """The state of a picture, `B` times."""
    rows = [line.split() for line in picture.strip().splitlines()]
    found = {
        thing: (r, c) for r, row in enumerate(rows) for c, cell in enumerate(row) for thing in cell if thing != "."
    }
    agents = [found[thing] for thing in AGENTS if thing in found]
    owners = [owner for owner, thing in enumerate(COINS) if thing in found]
    coins = [found[COINS[owner]] for owner in owners]
    each = (np.uint64(7), np.int32(t), np.array(agents, np.int8), np.array(coins, np.int8), np.array(owners, np.int8))
    return State(*(np.repeat(np.asarray(value)[None], B, axis=0) for value in each))


def draw(game: CoinGame, state: State) -> str:
    """The picture of the first environment of a state."""
    cells = [["" for _ in range(game.grid_size)] for _ in range(game.grid_size)]
    for thing, (row, column) in zip(AGENTS, state.agents[0], strict=False):
        cells[row][column] += thing
    for owner, (row, column) in zip(state.owners[0], state.coins[0], strict=True):
        cells[row][column] += COINS[owner]
    return "\n".join(" ".join(cell or "." for cell in row) for row in cells)


def assert_step(
    game: CoinGame,
    before: str,
    actions: list[int],
    after: str,
    *,
    picked: str = "",
    left: str = "",
    rewards: tuple[float, ...] | None = None,
    draws: tuple[float, ...] = (),
    t: int = 0,
) -> None:
    """Play one step. `picked` and `left` list pairs: "rB" is red and blue's coin. `draws`: winner, cell, colour."""
    state = read(before, t)
    chance = np.zeros((1, 3 * state.coins.shape[1]))
    chance[0, : len(draws)] = draws
    state, events = game.play(state, np.array([actions]), chance)
    assert draw(game, state) == "\n".join(" ".join(line.split()) for line in after.strip().splitlines())
    assert told(events.picked[0]) == sorted(picked.split())
    assert told(events.left[0]) == sorted(left.split())
    if rewards is not None:
        np.testing.assert_allclose(game.rewards(events)[0], rewards, rtol=1e-6)
        np.testing.assert_allclose(game.principal_reward(events)[0], sum(rewards), atol=1e-6)


def told(pairs: np.ndarray) -> list[str]:
    return sorted(AGENTS[i] + COINS[j] for i, j in np.argwhere(pairs))


# Moves


@pytest.mark.parametrize(
    ("actions", "after"),
    [
        ([RIGHT, RIGHT], "R . .\n. . r\nb . ."),
        ([LEFT, LEFT], "R . .\nr . .\n. b ."),
        ([DOWN, DOWN], "R . b\n. . .\n. r ."),
        ([UP, UP], "R r .\n. . b\n. . ."),
    ],
)
def test_moves_lead_around_the_torus(actions: list[int], after: str) -> None:
    assert_step(game_of("ivanov-3x3"), "R . .\n. r .\n. . b", actions, after)


@pytest.mark.parametrize(
    ("actions", "after"),
    [
        ([RIGHT, RIGHT], ". r .\n. R .\n. . b"),
        ([LEFT, LEFT], "r . .\n. R .\n. b ."),
        ([DOWN, DOWN], ". . .\nr R .\n. . b"),
        ([UP, UP], "r . .\n. R b\n. . ."),
    ],
)
def test_walls_stop_moves(actions: list[int], after: str) -> None:
    assert_step(game_of("mate-2"), "r . .\n. R .\n. . b", actions, after)


def test_agents_may_share_a_cell_and_pass_through_each_other() -> None:
    game = game_of("ivanov-3x3")
    assert_step(game, "r . b\n. . .\n. . R", [RIGHT, LEFT], ". rb .\n. . .\n. . R", left="bR")
    assert_step(game, "r b .\n. . .\n. . R", [RIGHT, LEFT], "b r .\n. . .\n. . R")


def test_all_may_stay_where_the_rules_say_so() -> None:
    assert game_of("mfos-3x3").action_names == ("right", "left", "down", "up", "stay")
    assert game_of("ivanov-3x3").action_names == ("right", "left", "down", "up")
    still = ". . . .\n. r b .\n. . . .\nR . . ."
    assert_step(game_of("ivanov-7x7", grid_size=4, stay=True), still, [STAY, STAY], still)


# Picking


def test_who_moves_onto_its_own_coin_picks_it() -> None:
    game = game_of("ivanov-3x3")
    draws = (0.0, 6.5 / 7, 0.0)  # the last of the 7 cells that are free
    before, after = "r R .\n. . .\n. . b", ". r .\n. . .\nb . B"
    assert_step(game, before, [RIGHT, RIGHT], after, picked="rR", rewards=(1.0, 0.0), draws=draws)


def test_who_moves_onto_anothers_coin_picks_it_too() -> None:
    game = game_of("ivanov-3x3")
    before, after = "r B .\n. . .\n. . b", "R r .\n. . .\nb . ."
    assert_step(game, before, [RIGHT, RIGHT], after, picked="rB", rewards=(0.2, 0.0))


@pytest.mark.parametrize("preset", ["rllib-3x3", "lola-3x3"])
def test_the_owner_loses_where_the_preset_says_so(preset: str) -> None:
    before, after = "r B .\n. . .\n. . b", "R r .\n. . .\nb . ."
    assert_step(game_of(preset), before, [RIGHT, RIGHT], after, picked="rB", rewards=(1.0, -2.0))


def test_a_coin_left_is_noted_with_who_left_it() -> None:
    """Red could have moved onto blue's coin and did not; blue was too far to leave anything."""
    before, after = "r B . .\n. . . .\n. . b .\n. . . .", ". B . .\nr . . .\n. . . b\n. . . ."
    assert_step(game_of("ivanov-7x7", grid_size=4), before, [DOWN, RIGHT], after, left="rB")


def test_a_coin_lost_in_a_tie_is_not_left() -> None:
    before, after = ". . . .\nr B b .\n. . . .\n. . . .", "R . . .\n. rb . .\n. . . .\n. . . ."
    assert_step(game_of("ivanov-7x7", grid_size=4), before, [RIGHT, LEFT], after, picked="rB", left="")


TIE = (". . .\nr B b\n. . .", [RIGHT, LEFT], "R . .\n. rb .\n. . .")


def test_of_two_that_arrive_one_is_drawn() -> None:
    game = game_of("ivanov-3x3")
    assert_step(game, *TIE, picked="rB", rewards=(0.2, 0.0), draws=(0.49,))
    assert_step(game, *TIE, picked="bB", rewards=(0.0, 1.0), draws=(0.51,))


def test_of_two_that_arrive_both_pick_in_rllib() -> None:
    assert_step(game_of("rllib-3x3"), *TIE, picked="rB bB", rewards=(1.0, -1.0), draws=(0.51,))


def test_of_two_that_arrive_red_picks_in_lola() -> None:
    assert_step(game_of("lola-3x3"), *TIE, picked="rB", rewards=(1.0, -2.0), draws=(0.99,))


def test_of_three_that_arrive_each_may_be_drawn() -> None:
    game, before, after = game_of("ivanov-3x3", players=3), ". g .\nr B b\n. . .", "G . .\n. rbg .\n. . ."
    for draws, picked in [((0.3,), "rB"), ((0.4,), "bB"), ((0.7,), "gB")]:
        assert_step(game, before, [RIGHT, LEFT, DOWN], after, picked=picked, draws=draws)


def test_every_foreign_picker_costs_the_owner() -> None:
    game, before, after = game_of("rllib-3x3", players=3), ". g .\nr B b\n. . .", "G . .\n. rbg .\n. . ."
    assert_step(game, before, [RIGHT, LEFT, DOWN], after, picked="rB bB gB", rewards=(1.0, 1.0 - 4.0, 1.0))


# The next coin


def test_colours_take_turns() -> None:
    game = game_of("ivanov-3x3", players=3)
    for coin, following in ["RB", "BG", "GR"]:
        before, after = f"r {coin} .\n. . .\nb . g", f"{following} r .\n. . .\n. bg ."
        assert_step(game, before, [RIGHT, RIGHT, LEFT], after, picked=f"r{coin}")


def test_a_drawn_colour_may_be_the_same_again() -> None:
    game = game_of("mate-2")
    before = "r R .\n. . .\n. . b"
    assert_step(game, before, [RIGHT, UP], "R r .\n. . b\n. . .", picked="rR", draws=(0.0, 0.0, 0.4))
    assert_step(game, before, [RIGHT, UP], "B r .\n. . b\n. . .", picked="rR", draws=(0.0, 0.0, 0.6))


def next_cells(game: CoinGame, before: str, actions: list[int]) -> set[tuple[int, int]]:
    """Where the next coin may appear, by trying very many draws."""
    state = read(before, B=500)
    draws = np.zeros((500, 3))
    draws[:, 1] = np.linspace(0, 1, 500, endpoint=False)
    state, _ = game.play(state, np.tile(actions, (500, 1)), draws)
    return {(row, column) for row, column in state.coins[:, 0].tolist()}


EVERYWHERE = set(itertools.product(range(3), repeat=2))


def test_a_new_coin_appears_where_no_agent_stands() -> None:
    cells = next_cells(game_of("ivanov-3x3"), "r R .\n. . .\n. . b", [RIGHT, UP])
    assert cells == EVERYWHERE - {(0, 1), (1, 2)}


def test_a_new_coin_appears_under_agents_in_mate_but_never_where_it_was() -> None:
    cells = next_cells(game_of("mate-2"), "r R .\n. . .\n. . b", [RIGHT, UP])
    assert cells == EVERYWHERE - {(0, 1)}


def test_a_new_coin_appears_anywhere_in_mfos() -> None:
    assert next_cells(game_of("ivanov-3x3", new_coin="any"), "r R .\n. . .\n. . b", [RIGHT, UP]) == EVERYWHERE


def test_who_stays_or_bumps_on_a_coin_that_appeared_under_it_picks_it() -> None:
    before, after = "rR . .\n. . .\n. . b", "r . .\n. . .\n. . bR"
    assert_step(game_of("mate-2"), before, [UP, DOWN], after, picked="rR", draws=(0.0, 0.99, 0.0))
    assert_step(game_of("mate-2", stay=True), before, [STAY, STAY], after, picked="rR", draws=(0.0, 0.99, 0.0))


# Two coins


def test_with_a_coin_each_only_the_picked_one_is_replaced() -> None:
    before, after = "r B .\n. . .\nR . b", ". r .\n. . .\nR . bB"
    draws = (0.0, 0.0, 0.0, 0.0, 0.99)
    assert_step(
        game_of("mfos-3x3"), before, [RIGHT, STAY], after,
        picked="rB", left="bR rR", rewards=(1.0, -2.0), draws=draws,
    )  # fmt: skip


def test_coins_on_one_cell_are_picked_together() -> None:
    before, after = "r RB .\n. . .\n. . b", "RB r .\n. . .\n. . b"
    assert_step(game_of("mfos-3x3"), before, [RIGHT, STAY], after, picked="rR rB", rewards=(2.0, -2.0))


def test_the_last_step_pays_nothing_in_mfos() -> None:
    before, after = "r R .\n. . .\nB . b", "R r .\n. . .\nB . b"
    game = game_of("mfos-3x3")
    assert_step(game, before, [RIGHT, STAY], after, picked="rR", left="bB rB", rewards=(1.0, 0.0), t=14)
    assert_step(game, before, [RIGHT, STAY], after, picked="rR", left="bB rB", rewards=(0.0, 0.0), t=15)


def test_the_last_step_pays_elsewhere() -> None:
    before, after = "r R .\n. . .\n. . b", "B r .\n. . .\nb . ."
    assert_step(game_of("ivanov-3x3"), before, [RIGHT, RIGHT], after, picked="rR", rewards=(1.0, 0.0), t=19)


# What is seen

SEEN = "r . . . .\n. . . . .\n. . . B .\n. . b . .\n. . . . ."


def marks(planes: np.ndarray) -> list[list[tuple[int, ...]]]:
    return [[*map(tuple, np.argwhere(plane).tolist())] for plane in planes]


def test_planes_show_self_others_own_coin_others_coins() -> None:
    red, blue = game_of("ivanov-7x7", grid_size=5).observe(read(SEEN))[0]
    assert marks(red) == [[(0, 0)], [(3, 2)], [], [(2, 3)]]
    assert marks(blue) == [[(3, 2)], [(0, 0)], [(2, 3)], []]


def test_egocentric_planes_put_the_observer_at_the_centre() -> None:
    red, blue = game_of("ivanov-7x7", grid_size=5, observation="egocentric").observe(read(SEEN))[0]
    assert marks(red) == [[(2, 2)], [(0, 4)], [], [(4, 0)]]
    assert marks(blue) == [[(2, 2)], [(4, 0)], [(1, 3)], []]


def test_mutual_planes_show_where_each_sees_coins_after_ones_own_view() -> None:
    red, blue = game_of("ivanov-7x7", grid_size=5, observation="mutual").observe(read(SEEN))[0]
    of_red, of_blue = [[(2, 2)], [(0, 4)], [], [(4, 0)]], [[(2, 2)], [(4, 0)], [(1, 3)], []]
    assert marks(red) == of_red + of_blue[2:]
    assert marks(blue) == of_blue + of_red[2:]


def test_mutual_planes_of_three_go_round_from_the_observer() -> None:
    state, rules = read("r . g\n. . .\nb . B"), {"players": 3}
    red, blue, green = game_of("ivanov-3x3", observation="egocentric", **rules).observe(state)[0]
    mutual = game_of("ivanov-3x3", observation="mutual", **rules).observe(state)[0]
    np.testing.assert_array_equal(mutual[1], np.concatenate([blue, green[2:], red[2:]]))


def test_absolute_planes_are_the_same_for_all_and_are_the_world() -> None:
    game = game_of("lola-3x3", grid_size=5)
    red, blue = game.observe(read(SEEN))[0]
    assert marks(red) == marks(blue) == marks(game.world(read(SEEN))[0]) == [[(0, 0)], [(3, 2)], [], [(2, 3)]]


def test_three_agents_see_all_others_in_one_plane() -> None:
    game, state = game_of("ivanov-3x3", players=3), read("r . g\n. . .\nb . B")
    assert [marks(planes) for planes in game.observe(state)[0]] == [
        [[(0, 0)], [(0, 2), (2, 0)], [], [(2, 2)]],
        [[(2, 0)], [(0, 0), (0, 2)], [(2, 2)], []],
        [[(0, 2)], [(0, 0), (2, 0)], [], [(2, 2)]],
    ]
    assert marks(game.world(state)[0]) == [[(0, 0)], [(2, 0)], [(0, 2)], [], [(2, 2)], []]


def test_a_scene_tells_what_happened() -> None:
    game = game_of("rllib-3x3")
    state, events = game.play(read(TIE[0]), np.array([TIE[1]]), np.zeros((1, 3)))
    scene = game.scene(state, events, 0)
    assert (scene.rows, scene.columns, scene.ground) == (3, 3, ("...",) * 3)
    assert [(s.kind, s.row, s.column, s.colour) for s in scene.sprites] == [
        ("coin", 0, 0, 0), ("agent", 1, 1, 0), ("agent", 1, 1, 1),
    ]  # fmt: skip
    assert scene.caption == "step 1; red picks blue coin; blue picks own coin"
    assert game.scene(state, None, 0).caption == "step 1"


# The start


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "mfos-3x3"])
def test_agents_and_coin_start_apart(preset: str) -> None:
    game = game_of(preset)
    state = game.reset(np.arange(2000, dtype=np.uint64))
    places = np.concatenate([state.agents, state.coins], axis=1).astype(int) @ [game.grid_size, 1]
    assert all(len({*row}) == 3 for row in places.tolist())


def test_agents_and_coins_start_anywhere_in_mfos() -> None:
    state = game_of("mfos-3x3").reset(np.arange(2000, dtype=np.uint64))
    places = np.concatenate([state.agents, state.coins], axis=1).astype(int) @ [3, 1]
    assert {len({*row}) for row in places.tolist()} == {1, 2, 3, 4}
    assert (state.owners == [0, 1]).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_place_and_colour_is_equally_likely_at_the_start(preset: str) -> None:
    game = game_of(preset)
    state = game.reset(np.arange(20_000, dtype=np.uint64) * 977)
    world = game.world(state).reshape(20_000, 4, -1)
    expected = np.repeat([1.0, 1.0, 1.0, 1.0] if preset == "mfos-3x3" else [1.0, 1.0, 0.5, 0.5], game.grid_size**2)
    expected /= game.grid_size**2
    error = np.sqrt(expected * (1 - expected) / 20_000)
    assert (abs(world.mean(axis=0).ravel() - expected) < 4.5 * error).all()


# Episodes


def play_out(game: Any, keys: np.ndarray, steps: int) -> list[np.ndarray]:
    """Every array of an episode in which actions depend on the state alone."""
    state, trace = game.reset(keys), []
    for _ in range(steps):
        mixed = state.agents.sum(axis=2) * 3 + state.coins.sum(axis=(1, 2))[:, None] + np.arange(game.players)
        actions = (mixed + state.t[:, None]) % len(game.action_names)
        trace += [*state, game.observe(state), actions]
        state, events = game.step(state, actions)
        trace += [*events, game.rewards(events)]
    return [*trace, *state]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_key_gives_the_same_episode_whatever_runs_beside_it(preset: str) -> None:
    game, keys = game_of(preset), np.arange(50, dtype=np.uint64) + np.uint64(2**63)
    beside = play_out(game, keys, game.horizon)
    again = play_out(game, keys, game.horizon)
    alone = play_out(game, keys[17:18], game.horizon)
    backwards = play_out(game, keys[::-1].copy(), game.horizon)
    for one, two, three, four in zip(beside, again, alone, backwards, strict=True):
        assert (one == two).all()
        assert (one[17:18] == three).all()
        assert (one == four[::-1]).all()


def test_keys_give_different_episodes() -> None:
    state, _ = walk(game_of("ivanov-7x7"), seed=0, B=40)[2:]
    assert len(np.unique(np.concatenate([state.agents, state.coins], axis=1), axis=0)) == 40


def test_keys_may_be_integers_of_any_kind() -> None:
    game = game_of("ivanov-3x3")
    for one, two in zip(game.reset(np.arange(5)), game.reset(np.arange(5, dtype=np.uint64)), strict=True):
        assert one.dtype == two.dtype
        assert (one == two).all()


def test_a_step_changes_neither_argument() -> None:
    game = game_of("rllib-3x3")
    state, actions = read(TIE[0]), np.array([TIE[1]])
    before = [array.copy() for array in (*state, actions)]
    game.step(state, actions)
    assert all((one == two).all() for one, two in zip(before, (*state, actions), strict=True))


def test_an_ended_environment_is_replaced_and_the_others_are_not() -> None:
    game = game_of("ivanov-3x3")
    old, new = game.reset(np.arange(6, dtype=np.uint64)), game.reset(np.arange(6, dtype=np.uint64) + np.uint64(100))
    ended = np.array([True, False, False, True, False, True])
    mixed = where(ended, new, old)
    assert isinstance(mixed, State)
    assert mixed.key.tolist() == [100, 1, 2, 103, 4, 105]
    assert (mixed.agents[ended] == new.agents[ended]).all()
    assert (mixed.agents[~ended] == old.agents[~ended]).all()


# What holds in every state

RULES = st.fixed_dictionaries(
    {
        "grid_size": st.integers(2, 6),
        "players": st.integers(2, 3),
        "coins": st.sampled_from(["one", "one-each"]),
        "next_colour": st.sampled_from(["alternate", "uniform"]),
        "tie": st.sampled_from(["uniform", "both", "first"]),
        "new_coin": st.sampled_from(["free", "any", "elsewhere"]),
        "edges": st.sampled_from(["torus", "walls"]),
        "start_apart": st.booleans(),
        "stay": st.booleans(),
        "owner_payoff": st.sampled_from([0.0, -2.0]),
    }
)


def walk(game: Any, seed: int, B: int = 32, steps: int = 10) -> tuple[State, np.ndarray, State, Events]:
    """The last step of a random walk: state, actions, next state, events."""
    rng = np.random.default_rng(seed)
    state = game.reset(rng.integers(2**64, size=B, dtype=np.uint64))
    for _ in range(steps):
        actions = rng.integers(len(game.action_names), size=(B, game.players))
        before, (state, events) = state, game.step(state, actions)
    return before, actions, state, events


@settings(max_examples=40, deadline=None)
@given(rules=RULES, seed=st.integers(0, 1000))
def test_what_holds_in_every_state(rules: dict[str, Any], seed: int) -> None:
    game = game_of("ivanov-7x7", **rules)
    before, _, state, events = walk(game, seed)
    for places in (state.agents, state.coins):
        assert ((places >= 0) & (places < game.grid_size)).all()
    picked = events.picked.any(axis=1)
    assert not (events.picked & events.left).any()
    if game.coins == "one":
        renewed = (state.coins != before.coins).any(axis=(1, 2)) | (state.owners != before.owners)[:, 0]
        assert not (renewed & ~picked.any(axis=1)).any(), "a coin stays until it is picked"
    if game.new_coin == "free":
        on_agent = (state.coins[:, :, None] == state.agents[:, None]).all(axis=3).any(axis=2)
        fresh = np.take_along_axis(picked, before.owners.astype(int), axis=1)
        assert not (on_agent & fresh).any(), "no new coin under an agent"
    if game.tie != "both":
        assert (events.picked.sum(axis=1) <= 1).all(), "a coin has a single winner"
    own, others = events.picked.trace(axis1=1, axis2=2), events.picked.sum(axis=(1, 2))
    welfare = own * game.own_coin + (others - own) * (game.others_coin + game.owner_payoff)
    np.testing.assert_allclose(game.principal_reward(events), welfare, atol=1e-5)


@pytest.mark.parametrize("observation", ["egocentric", "mutual"])
@settings(max_examples=30, deadline=None)
@given(rules=RULES, seed=st.integers(0, 1000), row=st.integers(0, 5), column=st.integers(0, 5))
def test_a_translated_torus_plays_alike(
    rules: dict[str, Any], seed: int, row: int, column: int, observation: str
) -> None:
    game = game_of("ivanov-7x7", **{**rules, "edges": "torus", "observation": observation})
    state, actions, after, events = walk(game, seed)

    def shifted(state: State) -> State:
        shift = np.array([row, column], np.int8)
        return state._replace(
            agents=(state.agents + shift) % game.grid_size, coins=(state.coins + shift) % game.grid_size
        )

    moved, alike = game.step(shifted(state), actions)
    assert (moved.agents == shifted(after).agents).all()
    assert all((one == two).all() for one, two in zip(events, alike, strict=True))
    assert (game.observe(shifted(state)) == game.observe(state)).all()
    assert (game.index(shifted(state)) == game.index(state)).all()


@pytest.mark.parametrize("observation", ["planes", "egocentric", "mutual", "absolute"])
@settings(max_examples=15, deadline=None)
@given(rules=RULES, seed=st.integers(0, 1000))
def test_a_mirrored_or_turned_board_plays_alike(rules: dict[str, Any], seed: int, observation: str) -> None:
    edges = {"edges": "torus"} if observation in ("egocentric", "mutual") else {}
    game = game_of("ivanov-7x7", **{**rules, "observation": observation, **edges})
    state, actions, _, _ = walk(game, seed)
    draws = np.random.default_rng(seed).random((len(actions), 3 * game.players))
    after, events = game.play(state, actions, draws)
    assert len(game.symmetries) == 8

    def mirrored(places: np.ndarray, transposed: int, *flipped: int) -> np.ndarray:
        places = places[..., ::-1] if transposed else places
        return np.where(flipped, game.grid_size - 1 - places, places).astype(np.int8)

    for view, how in zip(game.symmetries, np.ndindex(2, 2, 2), strict=True):
        other = state._replace(agents=mirrored(state.agents, *how), coins=mirrored(state.coins, *how))
        seen = game.observe(state).reshape(*actions.shape, -1)
        np.testing.assert_array_equal(game.observe(other).reshape(seen.shape), seen[..., view.cells])
        moved, alike = game.play(other, view.actions[actions], draws)
        np.testing.assert_array_equal(moved.agents, mirrored(after.agents, *how))
        np.testing.assert_array_equal(alike.picked, events.picked)


@settings(max_examples=30, deadline=None)
@given(rules=RULES, seed=st.integers(0, 1000))
def test_agents_are_alike_but_for_their_names(rules: dict[str, Any], seed: int) -> None:
    """Who names them the other way round sees the same game: agents, actions and owners relabelled, the winner too."""
    game = game_of("ivanov-7x7", **{**rules, "players": 2, "coins": "one", "next_colour": "alternate"})
    state, actions, _, _ = walk(game, seed)
    draws = np.random.default_rng(seed).random((len(actions), 3))
    other = draws * [0, 1, 0] + [1 - 2**-53, 0, 0] - draws * [1, 0, 0]
    swapped = state._replace(agents=state.agents[:, ::-1].copy(), owners=1 - state.owners)
    after, events = game.play(state, actions, draws)
    mirrored, mirror = game.play(swapped, actions[:, ::-1], other)
    if game.tie != "first":
        assert (mirror.picked == events.picked[:, ::-1, ::-1]).all()
    assert (mirrored.coins == after.coins).all()
    assert (mirrored.owners == 1 - after.owners).all()
    assert (game.observe(swapped) == game.observe(state)[:, ::-1]).all()


@settings(max_examples=20, deadline=None)
@given(rules=RULES, seed=st.integers(0, 1000))
def test_egocentric_planes_are_the_planes_rolled(rules: dict[str, Any], seed: int) -> None:
    rules = {**rules, "edges": "torus"}
    state, *_ = walk(game_of("ivanov-7x7", **rules), seed)
    planes = game_of("ivanov-7x7", **rules).observe(state)
    rolled = game_of("ivanov-7x7", observation="egocentric", **rules).observe(state)
    G = rules["grid_size"]
    for b, i in np.ndindex(state.agents.shape[:2]):
        row, column = state.agents[b, i]
        assert (np.roll(planes[b, i], (G // 2 - row, G // 2 - column), axis=(1, 2)) == rolled[b, i]).all()


# All that chance may do


@settings(max_examples=25, deadline=None)
@given(rules=RULES.filter(lambda rules: rules["coins"] == "one" or rules["grid_size"] < 4), seed=st.integers(0, 1000))
def test_outcomes_are_distinct_and_their_probabilities_sum_to_one(rules: dict[str, Any], seed: int) -> None:
    game = game_of("ivanov-7x7", **rules)
    state, actions, _, _ = walk(game, seed, B=8)
    draws, probabilities = game.outcomes(state, actions)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    for b in range(8):
        listed = probabilities[b] > 0
        count = int(listed.sum())
        assert listed[:count].all(), "the padding stands at the end"
        one = State(*(np.repeat(array[b : b + 1], count, axis=0) for array in state))
        after, events = game.play(one, np.repeat(actions[b : b + 1], count, axis=0), draws[b, :count])
        assert len({(*(array[k].tobytes() for array in (*after, *events)),) for k in range(count)}) == count


@pytest.mark.parametrize("preset", [*PRESETS, "three"])
def test_outcomes_agree_with_what_is_sampled(preset: str) -> None:
    """A crowd around the coin, one step from 40,000 keys, against the listed probabilities."""
    game = game_of("ivanov-3x3", players=3, next_colour="uniform") if preset == "three" else game_of(preset)
    picture, actions = (". g .\nr B b\n. . .", [RIGHT, LEFT, DOWN]) if preset == "three" else TIE[:2]
    if preset == "mfos-3x3":
        picture = "R . .\nr B b\n. . ."
    B = 40_000
    state = read(picture, B=B)._replace(key=np.arange(B, dtype=np.uint64) * 31)
    sampled = outcome_counts(*game.step(state, np.tile(actions, (B, 1))))
    draws, probabilities = game.outcomes(read(picture), np.array([actions]))
    K = draws.shape[1]
    listed = outcome_counts(*game.play(read(picture, B=K), np.tile(actions, (K, 1)), draws[0]))
    assert len(listed) == K
    assert sampled.keys() == listed.keys()
    assert (probabilities == 1 / K).all()
    error = np.sqrt(B / K)
    assert all(abs(count - B / K) < 5 * error for count in sampled.values())


def outcome_counts(state: State, events: Events) -> Counter[bytes]:
    arrays = [array.reshape(len(state.t), -1).astype(np.int8) for array in (*state[2:], *events)]
    return Counter(row.tobytes() for row in np.concatenate(arrays, axis=1))


@pytest.mark.parametrize(
    ("preset", "rules", "count"),
    [
        ("ivanov-3x3", {}, 9 * 8 * 7 * 2),
        ("ivanov-7x7", {}, 49 * 48 * 47 * 2),
        ("mfos-3x3", {}, 9**4),
        ("mate-2", {}, 9 * 8 * 7 * 2),
        ("ivanov-3x3", {"players": 3}, 9 * 8 * 7 * 6 * 3),
        ("ivanov-3x3", {"coins": "one-each"}, 9 * 8 * 7**2),
    ],
)
def test_starts_are_listed_once_each(preset: str, rules: dict[str, Any], count: int) -> None:
    game = game_of(preset, **rules)
    draws, probabilities = game.starts()
    state = game.begin(np.zeros(len(draws), np.uint64), draws)
    assert len(draws) == count
    np.testing.assert_allclose(probabilities, 1 / count)
    rows = np.concatenate([array.reshape(count, -1) for array in state[2:]], axis=1)
    assert len(np.unique(rows, axis=0)) == count


def test_starts_are_what_a_reset_draws() -> None:
    """The share of every relative start: 3x3, 162 states, from 60,000 keys."""
    game = game_of("ivanov-3x3")
    draws, probabilities = game.starts()
    listed = np.bincount(game.index(game.begin(np.zeros(len(draws), np.uint64), draws)), probabilities, minlength=162)
    sampled = np.bincount(game.index(game.reset(np.arange(60_000, dtype=np.uint64))), minlength=162) / 60_000
    error = np.sqrt(listed * (1 - listed) / 60_000)
    assert (abs(sampled - listed) <= 5 * error).all()
    assert (listed > 0).sum() == 8 * 7 * 2


# The table


@pytest.mark.parametrize(
    ("preset", "rules", "states"),
    [
        ("ivanov-3x3", {}, 162),
        ("ivanov-7x7", {}, 4802),
        ("mate-2", {}, 2 * 9**3),
        ("mfos-3x3", {"last_step_pays": True}, 9**3),
        ("ivanov-3x3", {"players": 3}, 3 * 9**3),
        ("ivanov-3x3", {"players": 3, "coins": "one-each"}, 9**5),
    ],
)
def test_every_state_of_the_table_has_its_index(preset: str, rules: dict[str, Any], states: int) -> None:
    game = game_of(preset, **rules)
    assert game.states == states
    assert (game.index(game.representatives()) == np.arange(states)).all()


def test_an_index_counts_owner_then_blue_then_coin() -> None:
    game = game_of("ivanov-3x3")
    assert game.index(read("r . .\n. . .\n. . bB")).tolist() == [81 + 9 * 8 + 8]
    assert game.index(read(". . .\n. r .\nb . R")).tolist() == [9 * (3 * 1 + 2) + 3 * 1 + 1]


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "mfos-3x3"])
def test_states_of_the_same_index_have_the_same_future(preset: str) -> None:
    """Chance leads from a state and from its representative to the same indices, with the same events."""
    game = game_of(preset)
    state, actions, _, _ = walk(game, seed=5, B=64)
    twin = State(*(array[game.index(state)] for array in game.representatives()))
    for b in range(64):
        futures = [future(game, State(*(a[b : b + 1] for a in s)), actions[b : b + 1]) for s in (state, twin)]
        assert futures[0] == futures[1]


def future(game: Any, state: State, actions: np.ndarray) -> list[tuple[Any, ...]]:
    draws, probabilities = game.outcomes(state, actions)
    K = draws.shape[1]
    after, events = game.play(State(*(np.repeat(a, K, axis=0) for a in state)), np.repeat(actions, K, axis=0), draws[0])
    facts = [events.picked.reshape(K, -1), events.left.reshape(K, -1), probabilities.T, game.index(after)[:, None]]
    return sorted(map(tuple, np.concatenate(facts, axis=1).tolist()))


# A user's mistakes


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"grid_size": 1}, r"grid_size.*greater than or equal to 2.*got 1"),
        ({"grid_size": 2.5}, r"grid_size.*got 2.5"),
        ({"grid_size": "big"}, r"grid_size.*got 'big'"),
        ({"horizon": 0}, r"horizon.*got 0"),
        ({"players": 1}, r"players.*got 1"),
        ({"players": 4, "grid_size": 2}, r"4 players leave no cell.*at most 3 players"),
        ({"tie": "none"}, r"tie.*'uniform', 'both' or 'first'.*got 'none'"),
        ({"observation": "egocentric", "edges": "walls"}, r"egocentric.*walls.*ask for"),
        ({"observation": "mutual", "edges": "walls"}, r"mutual.*walls.*ask for"),
        ({"own_coin": float("nan")}, r"own_coin.*finite"),
        ({"own_coin": float("inf")}, r"own_coin.*finite"),
        ({"grid": 3}, r"unknown parameter of game coin_game/ivanov-7x7 'grid'.*'grid_size'"),
    ],
)
def test_a_rule_that_is_not_allowed_is_told(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        game_of("ivanov-7x7", **rules)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([[0, 4]], r"actions from 0 to 4.*0 to 3 are allowed \(right, left, down, up\)"),
        ([[-1, 0]], r"actions from -1 to 0"),
        ([[0]], r"shape \(1, 1\); integers of shape \(1, 2\)"),
        ([[0.0, 1.0]], r"float64"),
        ([0, 1], r"shape \(2,\)"),
    ],
)
def test_an_action_that_does_not_exist_is_told(actions: Any, message: str) -> None:
    game = game_of("ivanov-3x3")
    for play in (game.step, game.outcomes):
        with pytest.raises(UsageError, match=message):
            play(read(TIE[0]), np.array(actions))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64])
def test_actions_may_be_integers_of_any_kind(dtype: type) -> None:
    state, _ = game_of("ivanov-3x3").step(read(TIE[0]), np.array([[DOWN, UP]], dtype))
    assert state.agents.tolist() == [[[2, 0], [0, 2]]]


def test_games_without_a_table_say_so() -> None:
    with pytest.raises(UsageError, match="last_step_pays=true"):
        game_of("mfos-3x3").representatives()
    with pytest.raises(UsageError, match="smaller grid_size than 7 or fewer players than 5"):
        game_of("ivanov-7x7", players=5).representatives()
    with pytest.raises(UsageError, match="starts are too many"):
        game_of("ivanov-7x7", players=5).starts()


def test_facts_count_own_coins_picked_and_others_coins_left() -> None:
    picked, left = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    picked[0, 0, 0] = picked[1, 1, 0] = True  # red picks its own; blue picks red's
    left[0, 1, 0] = left[1, 0, 0] = True  # blue leaves red's; red leaves its own, which is no favour to anyone
    facts = make("coin_game/ivanov-3x3").facts(Events(picked, left, np.ones(2, bool)))
    assert facts.tolist() == [[[1, 0], [0, 1]], [[0, 0], [0, 0]]]
