"""The command line: `paymaster list | run | compare | render | play | solve | self-interest | audit | show | speed`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...core.config import UsageError
from ...core.version import VERSION

MISUSED = 2  # exit code of a mistake in what was asked
INTERRUPTED = 130  # exit code after Control-C, as shells have it

app = typer.Typer(
    name="paymaster",
    epilog="Start with: paymaster run quick",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

option = partial(typer.Option, show_default=False)  # each help text states its default, also where None stands for one
flag = partial(option, metavar="")


class Kind(StrEnum):
    """What can be listed."""

    GAMES = "games"
    MECHANISMS = "mechanisms"
    SUITES = "suites"


class Format(StrEnum):
    """How a comparison is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def _load(modules: list[str] | None) -> None:
    from ...core.registry import load_plugin

    for module in modules or []:
        load_plugin(module)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"paymaster {VERSION}")
        raise typer.Exit


Plugins = Annotated[
    list[str] | None,
    option(
        "--plugin",
        metavar="MODULE",
        callback=_load,
        help="Python module, in this folder or installed, with your own games or mechanisms (repeatable).",
    ),
]
Settings = Annotated[
    list[str] | None,
    option(
        "--set",
        metavar="KEY=VALUE",
        help="Value for a rule, a parameter of the mechanism, a setting of a learner or a budget (repeatable).",
    ),
]
Rules = Annotated[
    list[str] | None, option("--set", metavar="KEY=VALUE", help="Value for a rule of the game (repeatable).")
]
Workers = Annotated[int | None, option(metavar="N", help="Number of parallel runs (default: one per core).")]
AsJson = Annotated[bool, flag("--json", help="Print JSON.")]


@app.callback()
def paymaster(
    version: Annotated[
        bool, flag("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """What does it cost to make self-interested learners cooperate, and who pays?"""


@app.command(name="list", epilog="Example: paymaster list mechanisms")
def list_(
    kind: Annotated[Kind | None, typer.Argument(help="What to list (default: everything).")] = None,
    as_json: AsJson = False,
    plugins: Plugins = None,
) -> None:
    """List the games, mechanisms and suites there are, and the games that a mechanism is not for."""
    from .list import listing, written

    print(written(listing([kind] if kind else list(Kind)), as_json=as_json))


@app.command(
    epilog="""Examples:

    paymaster run quick

    paymaster run coin-3x3 --seeds 3 --workers 2 --out runs/mine

    paymaster run coin_game/ivanov-3x3 --mechanism constant-share --set share=0.3 --seed 1

    paymaster run my-suite.yaml

    paymaster run runs/mine/.../run.json
    """
)
def run(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SUITE|FILE.yaml|GAME|run.json",
            help="Suite by its name, suite of your own, single game, or record of a run to repeat.",
        ),
    ],
    out: Annotated[Path | None, option(metavar="FOLDER", help="Folder for the runs (default: runs/NAME).")] = None,
    seeds: Annotated[
        int | None,
        option(metavar="N", help="Number of seeds, 1 or more (default: the suite's own number; 1 for a GAME)."),
    ] = None,
    seed: Annotated[int | None, option(metavar="N", help="First seed, 0 or more (default: 0).")] = None,
    workers: Workers = None,
    address: Annotated[
        str | None,
        option(
            metavar="ADDRESS",
            help="Address of a Ray cluster whose machines share the folder of the runs (default: this machine alone).",
        ),
    ] = None,
    settings: Settings = None,
    mechanism: Annotated[
        str | None, option(metavar="ID", help="Mechanism under which a single GAME is played (default: selfish).")
    ] = None,
    algorithm: Annotated[
        str | None,
        option(
            metavar="ID",
            help="Algorithm of the agents in a single GAME: dqn, ppo, follow or best-response (default: dqn). "
            "Under follow and best-response agents do not learn.",
        ),
    ] = None,
    plugins: Plugins = None,
) -> None:
    """Train and evaluate agents: every run of a suite, or one game under one mechanism.

    A finished run is kept and never made again. At the end the command prints a table and draws learning curves and a
    replay.
    """
    from ..runs.launch import Request
    from .run import execute

    sys.exit(execute(Request(what, out, seeds, seed, workers, address, settings or [], mechanism, algorithm)))


@app.command(
    epilog="""Examples:

    paymaster compare runs/quick

    paymaster compare runs/coin-3x3 results/reference/coin-3x3.csv --against constant-share

    paymaster compare runs/coin-3x3 --format csv --out results/coin-3x3.csv
    """
)
def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="DIR|TABLE...", help="Folders of runs, and CSV tables of earlier comparisons."),
    ],
    format: Annotated[
        Format,
        option(
            "--format", help="Format of the comparison (default: table). csv keeps every seed and can be read again."
        ),
    ] = Format.TABLE,
    against: Annotated[
        str | None,
        option(metavar="ID", help="Mechanism to which differences in welfare are taken (default: selfish)."),
    ] = None,
    out: Annotated[
        Path | None,
        option(
            metavar="FILE",
            help="File to write to (default: the terminal). A JSON file beside it says how the comparison was made.",
        ),
    ] = None,
    plugins: Plugins = None,
) -> None:
    """Compare finished runs: their welfare and who pays for it, with exact and published results beside them.

    Damaged folders and tables are named and left out. It is an error only if nothing is left to compare.
    """
    from .compare import compare_and_write

    sys.exit(compare_and_write(paths, format.value, against, out))


@app.command(
    epilog="""Examples:

    paymaster render coin_game/ivanov-7x7

    paymaster render cleanup/ssd --out random.mp4

    paymaster render runs/quick/coin_game__ivanov-3x3/principal-dqn/dqn/s0-... --out episode.gif

    paymaster render solved/coin-7x7 --out exact.png --step 10
    """
)
def render(
    what: Annotated[
        str, typer.Argument(metavar="GAME|FOLDER", help="Game to play at random, or folder of a run or of a solution.")
    ],
    out: Annotated[
        Path | None,
        option(metavar="FILE", help="File to draw to: .gif or .mp4, or .png for one time step (default: a window)."),
    ] = None,
    seed: Annotated[
        int,
        option(
            min=0, metavar="N", help="Random seed of the episode (default: 0). A run's episode is recorded already."
        ),
    ] = 0,
    step: Annotated[
        int | None, option(min=0, metavar="N", help="Time step to draw (.png only; default: 0, the start).")
    ] = None,
    settings: Rules = None,
    plugins: Plugins = None,
) -> None:
    """Show an episode, in a window or as a file: of a run's agents, under an exact principal, or of random play.

    In the window, space pauses, left and right go one step, up and down change the speed, r starts again.
    """
    from ..reports.episode import draw

    if draw(what, out, seed=seed, step=step, settings=settings or []) is not None:
        print(out)


@app.command(
    epilog="""Examples:

    paymaster play coin_game/ivanov-3x3 --agent blue

    paymaster play coin_game/ivanov-3x3 --run runs/quick/coin_game__ivanov-3x3/principal-dqn/dqn/s0-...
    """
)
def play(
    game: Annotated[str, typer.Argument(metavar="GAME", help="Game to play.")],
    agent: Annotated[
        str | None, option(metavar="AGENT", help="Agent that you steer, by its name or number (default: the first).")
    ] = None,
    run: Annotated[
        Path | None,
        option(
            metavar="FOLDER",
            help="Folder of a run whose mechanism holds and whose policies play the other agents "
            "(default: no mechanism, random play).",
        ),
    ] = None,
    seed: Annotated[
        int, option(min=0, metavar="N", help="Random seed of the episodes and of random play (default: 0).")
    ] = 0,
    settings: Rules = None,
    plugins: Plugins = None,
) -> None:
    """Play a game in a window, as one of its agents.

    The keys are on the screen: arrows move, relative to the facing where agents turn (q and e), space cleans, f fires,
    s stays. Where nothing moves, numbers choose the action.
    """
    from .play import play as play_in_window

    print(play_in_window(game, agent, run, seed=seed, settings=settings or []))


@app.command(
    epilog="""Examples:

    paymaster solve coin_game/ivanov-3x3

    paymaster solve coin_game/ivanov-7x7 --discount 0.99 --json

    paymaster solve coin_game/ivanov-7x7 --out solved/coin-7x7

    paymaster solve cleanup/lio-7x7 --favour 0.2
    """
)
def solve(
    game: Annotated[str, typer.Argument(metavar="GAME", help="Game small enough for a table of its states.")],
    settings: Rules = None,
    alpha: Annotated[
        float,
        option(
            metavar="NUMBER",
            help="Price of money, above 0: the principal maximises welfare / alpha - payments (default: 0.1).",
        ),
    ] = 0.1,
    discount: Annotated[
        float | None,
        option(
            metavar="NUMBER",
            help="Discount factor of the stationary game, between 0 and 1; omit to solve the finite-horizon game.",
        ),
    ] = None,
    favour: Annotated[
        float,
        option(
            metavar="NUMBER",
            help="Preference for earlier agents, 0 or more and below 1: agent i's reward counts (1 - favour)^i in the "
            "principal's welfare (default: 0).",
        ),
    ] = 0.0,
    as_json: AsJson = False,
    rounds: Annotated[bool, flag("--rounds", help="Print each iteration of the meta-algorithm.")] = False,
    out: Annotated[
        Path | None,
        option(metavar="FOLDER", help="Folder for the policies, which `paymaster render` plays (default: not kept)."),
    ] = None,
    plugins: Plugins = None,
) -> None:
    """Solve a game exactly: the social optimum, selfish equilibria, and what a principal pays."""
    from .solve import solved

    text = solved(
        game,
        settings or [],
        alpha=alpha,
        discount=discount,
        favour=favour,
        as_json=as_json,
        iterations=rounds,
        out=out,
    )
    print(text)


@app.command(
    name="self-interest",
    epilog="""Examples:

    paymaster self-interest matrix/iterated-prisoners-dilemma --seeds 5

    paymaster self-interest cleanup/lio-7x7 --set steps=1000000 --out runs/mine
    """,
)
def self_interest(
    game: Annotated[str, typer.Argument(metavar="GAME", help="Game of two agents or more.")],
    algorithm: Annotated[
        str, option(metavar="ID", help="Algorithm by which the agents learn: ppo or dqn (default: ppo).")
    ] = "ppo",
    seeds: Annotated[int, option(metavar="N", help="Number of seeds at each level, 2 or more (default: 3).")] = 3,
    seed: Annotated[int, option(metavar="N", help="First seed, 0 or more (default: 0).")] = 0,
    workers: Workers = None,
    out: Annotated[
        Path,
        option(metavar="FOLDER", help="Folder for the runs and the result (default: runs/self-interest)."),
    ] = Path("runs/self-interest"),
    settings: Settings = None,
    as_json: AsJson = False,
    plugins: Plugins = None,
) -> None:
    """Estimate the self-interest level s*: the share of its reward an agent can keep while learners still cooperate.

    s* is the largest such share, the same for all agents. Each agent has a network of its own unless --set
    policies=shared. An interrupted search keeps its finished runs.
    """
    from .self_interest import Question, search_and_tell

    question = Question(game=game, algorithm=algorithm, seeds=seeds, first_seed=seed, settings=settings or [])
    sys.exit(search_and_tell(question, out, workers=workers, as_json=as_json))


@app.command(
    epilog="""Examples:

    paymaster audit runs/coin-3x3

    paymaster audit runs/quick/coin_game__ivanov-3x3/principal-dqn/dqn/s0-... --json
    """
)
def audit(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RUN|DIR...", help="Folders of runs, or folders that hold some.")
    ],
    as_json: Annotated[bool, flag("--json", help="Print JSON, with the gains of each agent.")] = False,
    plugins: Plugins = None,
) -> None:
    """Audit learned contracts and agents exactly: what they yield, and what an agent gains by deviating.

    Each run keeps its audit as audit.json, and comparisons show it from then on. The game needs a table of its states.
    """
    from .audit import audit_and_tell

    sys.exit(audit_and_tell(paths, as_json=as_json))


@app.command(epilog="Example: paymaster show runs/single/cleanup__lio-7x7/principal-ppo/ppo/s0-... --out rates.png")
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run whose principal offers payments.")],
    out: Annotated[Path, option(metavar="FILE.png", help="File for the picture, a .png (default: rates.png).")] = Path(
        "rates.png"
    ),
    plugins: Plugins = None,
) -> None:
    """Summarise and plot a learned contract by time step and map contents."""
    from .show import show as summarise

    print(summarise(run, out))


@app.command(epilog="Example: paymaster speed coin_game/ivanov-7x7 --set observation=egocentric")
def speed(
    game: Annotated[
        str, typer.Argument(metavar="GAME", show_default=False, help="Game to step (default: coin_game/ivanov-7x7).")
    ] = "coin_game/ivanov-7x7",
    settings: Rules = None,
    training: Annotated[bool, flag("--training", help="Benchmark PPO's training throughput instead.")] = False,
    as_json: AsJson = False,
    plugins: Plugins = None,
) -> None:
    """Benchmark environment and sampling throughput against RLlib.

    Sampling includes the policy, and RLlib's own runner is measured in the same process. With --training, PPO is
    measured from end to end against RLlib's own PPO: same network, samples, minibatches and epochs.
    """
    from ..speed.stepping import speed as measured
    from ..speed.stepping import training_speed

    print((training_speed if training else measured)(game, settings or [], as_json=as_json))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. A mistake of the user's ends with exit code 2 and one message."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(app(arguments, prog_name="paymaster", standalone_mode=False) or 0)
    except UsageError as error:
        sys.exit(_refused(str(error)))
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except Exception as error:
        message = getattr(error, "format_message", None)  # typer's own refusals: unknown options, wrong types
        if message is None:
            raise
        sys.exit(_refused(f"{message()} (got: paymaster {shlex.join(arguments)})") if arguments else MISUSED)


def _refused(message: str) -> int:
    print(f"paymaster: {message}", file=sys.stderr)
    return MISUSED
