"""The command line: `paymaster list | run | tune | compare | league | crossplay | report | render | play | ...`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from ...core.config import UsageError
from ...core.stopping import stop_on_sigterm, terminated
from . import options

MISUSED = 2  # exit code after a user's mistake
INTERRUPTED, TERMINATED = 130, 143  # exit codes after Control-C and SIGTERM, as in shells

app = typer.Typer(
    name="paymaster",
    epilog="Start with: paymaster run quick",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.callback()
def paymaster(version: options.Version = False) -> None:
    """What does it cost to make self-interested learners cooperate, and who pays?"""


@app.command(
    name="list",
    epilog="""Examples:

    paymaster list mechanisms

    paymaster list principal-dqn
""",
)
def list_(what: options.Listed = None, as_json: options.AsJson = False, plugins: options.Plugins = None) -> None:
    """List the games, mechanisms, algorithms and suites there are, or tell all of one.

    Of one it says what it does, and the settings that --set takes, with defaults and meanings; of a mechanism also
    which games it is not for, and why.
    """
    from .list import KINDS, listing, named, told, whole, written

    if what is None or what in KINDS:
        kinds = [what] if what else list(KINDS)
        print(written(listing(kinds) if as_json else named(kinds), as_json=as_json))
    else:
        print(told(whole(what), as_json=as_json))


@app.command(
    epilog="""Examples:

    paymaster run quick

    paymaster run coin-3x3 --seeds 3 --workers 2 --out runs/mine

    paymaster run coin_game/ivanov-3x3 --mechanism constant-share --set share=0.3 --seed 1

    paymaster run my-suite.yaml

    paymaster run coin-3x3 --add my-mechanism --add selfish/my-learner --plugin my_module

    paymaster run runs/mine/.../run.json
    """
)
def run(
    what: options.RunTarget,
    out: options.RunsFolder = None,
    seeds: options.Seeds = None,
    seed: options.FirstSeed = None,
    workers: options.Workers = None,
    address: options.Address = None,
    settings: options.Settings = None,
    mechanism: options.MechanismId = None,
    algorithm: options.AlgorithmId = None,
    add: options.Additions = None,
    dry_run: options.DryRun = False,
    plugins: options.Plugins = None,
) -> None:
    """Train and evaluate agents: every run of a suite, or one game under one mechanism.

    A finished run is kept and never made again. At the end the command prints a table and draws learning curves and a
    replay.
    """
    from rich.console import Console

    from ..runs.launch import make_runs, plan
    from .run import report_plan, report_runs

    console = Console(highlight=False)
    asked = plan(
        what, out=out, seeds=seeds, seed=seed, settings=settings or [], mechanism=mechanism, algorithm=algorithm,
        add=add or [],
    )  # fmt: skip
    if dry_run:
        report_plan(asked, workers, address, console)
        return
    sys.exit(report_runs(make_runs(asked, console=console, workers=workers, address=address), console))


@app.command(epilog="Example: paymaster tune coin-3x3 --trials 16 --workers 2")
def tune(
    suite: options.TunedSuite,
    trials: options.Trials = 16,
    seeds: options.TrialSeeds = 1,
    out: options.TrialsFile = None,
    workers: options.Workers = None,
    plugins: options.Plugins = None,
) -> None:
    """Search for the settings of every mechanism of a suite, with as many trials for each.

    The first trial is the suite's own settings. Trials have a quarter of the budget, seeds from 100, and one score, the
    principal's utility: welfare / 0.1 - payment. All of them are kept; a search that was cut goes on.
    """
    from .tune import tune_suite

    sys.exit(tune_suite(suite, trials, seeds, out, workers))


@app.command(
    epilog="""Examples:

    paymaster compare runs/quick

    paymaster compare runs/coin-3x3 results/reference/coin-3x3.csv --against constant-share

    paymaster compare runs/coin-3x3 --all

    paymaster compare runs/coin-3x3 --format csv --out results/coin-3x3.csv
    """
)
def compare(
    paths: options.ComparedPaths,
    format: options.ComparisonFormat = options.Format.TABLE,
    against: options.Against = None,
    out: options.ComparisonFile = None,
    everything: options.Everything = False,
    plugins: options.Plugins = None,
) -> None:
    """Compare finished runs: their welfare and who pays for it, with exact and published results beside them.

    Damaged folders and tables are named and left out. It is an error only if nothing is left to compare.
    """
    from .compare import compare_and_write

    sys.exit(compare_and_write(paths, format.value, against, out, everything=everything))


@app.command(
    epilog="""Examples:

    paymaster league

    paymaster league --game cleanup

    paymaster league runs/mine --game coin_game/ivanov-3x3
    """
)
def league(
    paths: options.LeaguePaths = None,
    game: options.LeagueGame = None,
    plugins: options.Plugins = None,
) -> None:
    """Show how much of the gap from selfish agents to the optimum each mechanism closes, in every game, and its price.

    It is made of the tables that come with Paymaster, and of your own runs, if you name some.
    """
    from .league import show_league

    sys.exit(show_league(paths or [], game))


@app.command(
    epilog="""Examples:

    paymaster crossplay runs/quick

    paymaster crossplay runs/quick --episodes 1024 --out crossplay.csv
    """
)
def crossplay(
    folder: options.CrossPlayFolder,
    episodes: options.CrossPlayEpisodes = 256,
    out: options.CrossPlayFile = None,
    plugins: options.Plugins = None,
) -> None:
    """Let the agents of finished runs play with agents that they never met: who cooperates with whom, and who gains.

    Every line of runs is a row, which plays the first agent, and a column, which plays the others; so are scripted
    agents, where the game says what cooperating is. They play without a contract and under that of each line.
    """
    from .crossplay import crossplay_and_write

    sys.exit(crossplay_and_write(folder, episodes, out))


@app.command(
    epilog="""Examples:

    paymaster report runs/quick

    paymaster report runs/coin-3x3 --out coin-3x3.html --against joint
    """
)
def report(
    folder: options.ReportedFolder,
    out: options.ReportFile = Path("report.html"),
    against: options.Against = None,
    plugins: options.Plugins = None,
) -> None:
    """Write one HTML file about finished runs, which opens without a network: to read, to print, to send.

    It holds the tables of compare, learning curves, the frontier of welfare against payment, replays that play, and how
    each run was made. An earlier report is replaced, any other file is not.
    """
    from .report import report_and_write

    sys.exit(report_and_write(folder, out, against))


@app.command(
    epilog="""Examples:

    paymaster render coin_game/ivanov-7x7

    paymaster render cleanup/ssd --out random.mp4

    paymaster render runs/quick/coin_game__ivanov-3x3/principal-dqn/dqn/s0-... --out episode.gif

    paymaster render solved/coin-7x7 --out exact.png --step 10
    """
)
def render(
    what: options.RenderTarget,
    out: options.EpisodeFile = None,
    seed: options.EpisodeSeed = 0,
    step: options.TimeStep = None,
    settings: options.Rules = None,
    plugins: options.Plugins = None,
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
    game: options.PlayedGame,
    agent: options.Agent = None,
    run: options.RunFolder = None,
    seed: options.PlaySeed = 0,
    settings: options.Rules = None,
    plugins: options.Plugins = None,
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

    paymaster solve payoffs.csv
    """
)
def solve(
    game: options.TabularGame,
    settings: options.Rules = None,
    alpha: options.Alpha = 0.1,
    discount: options.Discount = None,
    favour: options.Favour = 0.0,
    as_json: options.AsJson = False,
    rounds: options.Iterations = False,
    out: options.PoliciesFolder = None,
    plugins: options.Plugins = None,
) -> None:
    """Solve a game exactly: the social optimum, selfish equilibria, and what a principal pays.

    A table of payoffs (CSV) is a game, too: a line for each joint action, N actions by their names, then N payoffs,
    below a head.
    """
    from .solve import solved

    text = solved(
        game, settings or [],
        alpha=alpha, discount=discount, favour=favour, as_json=as_json, iterations=rounds, out=out,
    )  # fmt: skip
    print(text)


@app.command(
    name="self-interest",
    epilog="""Examples:

    paymaster self-interest matrix/iterated-prisoners-dilemma --seeds 5

    paymaster self-interest cleanup/lio-7x7 --set steps=1000000 --out runs/mine
    """,
)
def self_interest(
    game: options.SeveralAgentsGame,
    algorithm: options.SearchAlgorithm = "ppo",
    seeds: options.SearchSeeds = 3,
    seed: options.SearchFirstSeed = 0,
    workers: options.Workers = None,
    out: options.SearchFolder = Path("runs/self-interest"),
    settings: options.Settings = None,
    as_json: options.AsJson = False,
    plugins: options.Plugins = None,
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
def audit(paths: options.AuditedPaths, as_json: options.AuditAsJson = False, plugins: options.Plugins = None) -> None:
    """Audit learned contracts and agents exactly: what they yield, and what an agent gains by deviating.

    Each run keeps its audit as audit.json, and comparisons show it from then on. The game needs a table of its states.
    """
    from .audit import audit_and_tell

    sys.exit(audit_and_tell(paths, as_json=as_json))


@app.command(epilog="Example: paymaster show runs/single/cleanup__lio-7x7/principal-ppo/ppo/s0-... --out rates.png")
def show(
    run: options.PrincipalRun, out: options.PictureFile = Path("rates.png"), plugins: options.Plugins = None
) -> None:
    """Summarise and plot a learned contract by time step and map contents."""
    from .show import show as summarise

    print(summarise(run, out))


@app.command(epilog="Example: paymaster speed coin_game/ivanov-7x7 --set observation=egocentric")
def speed(
    game: options.SpeedGame = "coin_game/ivanov-7x7",
    settings: options.Rules = None,
    training: options.TrainingSpeed = False,
    as_json: options.AsJson = False,
    plugins: options.Plugins = None,
) -> None:
    """Benchmark environment and sampling throughput against RLlib.

    Sampling includes the policy, and RLlib's own runner is measured in the same process. With --training, PPO is
    measured from end to end against RLlib's own PPO: same network, samples, minibatches and epochs; and of PPO, DQN and
    Algorithm 3 it says where the time goes.
    """
    from ..speed.stepping import speed as measured
    from ..speed.stepping import training_speed

    print((training_speed if training else measured)(game, settings or [], as_json=as_json))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. A user's mistake ends with one message and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    stop_on_sigterm()
    try:
        code = app(arguments, prog_name="paymaster", standalone_mode=False) or 0
    except UsageError as error:
        code = _refused(str(error))
    except typer.Exit as done:
        code = done.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:
        message = getattr(error, "format_message", None)  # of typer's own errors: unknown options, wrong types
        if message is None:
            raise
        code = _refused(f"{message()} (got: paymaster {shlex.join(arguments)})") if arguments else MISUSED
    if code == INTERRUPTED and terminated():
        print("paymaster: terminated; what was finished is kept", file=sys.stderr)
        code = TERMINATED
    sys.exit(code)


def _refused(message: str) -> int:
    print(f"paymaster: {message}", file=sys.stderr)
    return MISUSED
