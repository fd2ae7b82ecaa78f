"""Paymaster: what does it cost to make self-interested learners cooperate, and who pays?"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .baselines import make_mechanism, register_mechanism
from .core.config import UsageError
from .core.version import VERSION
from .envs import OWN, make
from .learning import register_role
from .views.registration import env, name_in_pettingzoo, parallel_env, register_game

__version__ = VERSION

LATER = {  # imported when first asked for: they bring RLlib or pandas
    "run": ".benchmarks.runs.run:run",
    "record": ".benchmarks.runs.external:record",
    "load": ".benchmarks.runs.load:load",
    "run_suite": ".benchmarks.runs.launch:run_suite",
    "compare": ".benchmarks.analysis.comparison:compare",
    "solve": ".equilibria.solve:summary",
    "list_equilibria": ".equilibria.normal_form.list_equilibria:list_equilibria",
    "solve_matrix": ".equilibria.normal_form.solve_matrix:solve_matrix",
}

__all__ = [
    "UsageError", "__version__", "env", "make", "make_mechanism", "parallel_env", "register_game", "register_mechanism",
    "register_role", *LATER,
]  # fmt: skip

for _family in OWN:
    name_in_pettingzoo(_family)


def __getattr__(name: str) -> Any:
    if name in LATER:
        module, function = LATER[name].split(":")
        return getattr(import_module(module, __name__), function)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
