"""The columns of a comparison: what each tells of a run."""

from __future__ import annotations

from collections.abc import Callable

from ..measures.exact_solutions import ALPHA
from ..measures.metrics import utility
from .dataset import Evaluated

METRICS: dict[str, Callable[[Evaluated], float | None]] = {
    "welfare": lambda row: row.welfare,
    "payment": lambda row: row.principal_payment,
    "payment share": lambda row: row.payment_share,
    "transfer volume": lambda row: row.transfer_volume,
    "equality": lambda row: row.equality,
    "compliance": lambda row: row.compliance,
    "acceptance": lambda row: row.acceptance,
    "principal return": lambda row: row.principal_return,
    "utility": lambda row: utility(row.welfare, row.principal_payment, ALPHA, row.principal_return),
    "states right": lambda row: row.states_right,
}
AUDITED: dict[str, Callable[[Evaluated], float | None]] = {  # what an audit tells
    "followed": lambda row: row.followed_welfare,
    "followed payment": lambda row: row.followed_payment,
    "gain now": lambda row: row.followed_gain_now,
    "gain": lambda row: row.followed_gain,
    "SPE ratio": lambda row: row.spe_ratio,
    "IC ratio": lambda row: row.ic_ratio,
    "worst equilibrium": lambda row: row.worst_welfare,
    "learned gain": lambda row: row.learned_gain,
    "deviation regret": lambda row: row.deviation_regret,
}
DISTANCES: dict[str, Callable[[Evaluated], float | None]] = {  # to exact benchmarks
    "welfare to spe": lambda row: row.welfare_regret_spe,
    "payment to spe": lambda row: row.payment_regret_spe,
    "welfare to best rate": lambda row: row.welfare_regret_best_rate,
    "payment to best rate": lambda row: row.payment_regret_best_rate,
}
EVERY = METRICS | AUDITED | DISTANCES
