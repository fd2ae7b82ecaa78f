"""Every tolerance of the solvers in one table: its value, its unit, and which files use it.

A relative tolerance counts in units of `1 + |value|`. Numba caches a compiled kernel by the file that holds it: who
changes a value here must touch the files that use it, or remove their `__pycache__`.

| name                     | value | unit                      | used by                                             |
|--------------------------|-------|---------------------------|-----------------------------------------------------|
| `PAYOFF_TIE`             | 1e-9  | payoff, relative          | stage games, best responses, enumeration, payments  |
| `IDENTICAL_PAYOFF`       | 1e-12 | payoff, relative          | vertex enumeration                                  |
| `CONSTRAINT_SLACK`       | 1e-9  | payoff scaled to [1, 2]   | vertex enumeration                                  |
| `DOMINATED_ROW`          | 1e-8  | payoff scaled to [1, 2]   | vertex enumeration                                  |
| `SINGULAR_PIVOT`         | 1e-11 | payoff scaled to [1, 2]   | vertex enumeration                                  |
| `INDIFFERENCE`           | 1e-13 | payoff scaled to [0, 1]   | Newton's method for mixed equilibria                |
| `VALUE_CONVERGENCE`      | 1e-12 | value, relative           | value iteration, best responses by policy iteration |
| `FIXED_POINT`            | 1e-9  | value, relative           | fixed points from other starts                      |
| `CHANCE`                 | 1e-9  | probability               | correlated equilibria                               |
| `RATE_GAIN`              | 1e-6  | return, discounted        | linear contracts                                    |
| `UTILITY_TIE`            | 1e-6  | return                    | hidden actions                                      |
| `CONTRADICTION`          | 1e-9  | payment                   | hidden actions                                      |
| `TRANSFER_TIE`           | 1e-9  | payoff                    | transfer levels                                     |
| `WELFARE_TIE`            | 1e-6  | return, undiscounted      | tables of exact solutions                           |
| `EPSILON_EQUILIBRIUM`    | 0.01  | largest reward of a step  | exact solutions; audits count it as a return        |
"""

PAYOFF_TIE = 1e-9
"""Payoffs closer than this are equal, and of equal choices the first is taken."""

IDENTICAL_PAYOFF = 1e-12
"""Two actions whose payoffs to every agent are closer than this are one action."""

CONSTRAINT_SLACK = 1e-9
"""A point misses a constraint of a best-response polytope by no more than this, and a tight constraint holds so far."""

DOMINATED_ROW = 1e-8
"""A row this far above another in every column is CONSTRAINT_SLACK above it at a vertex, whose sum is 1/2 or more."""

SINGULAR_PIVOT = 1e-11
"""A system of equations with a smaller pivot has no unique solution."""

INDIFFERENCE = 1e-13
"""Newton's method has solved for indifference when no equation is further off than this."""

VALUE_CONVERGENCE = 1e-12
"""Values have converged when an iteration moves them by no more than this."""

FIXED_POINT = 1e-9
"""Value iteration from another start has come to a fixed point when a sweep moves the values by no more than this."""

CHANCE = 1e-9
"""A joint action with a smaller chance in a correlated equilibrium is not drawn."""

RATE_GAIN = 1e-6
"""The answer to a linear contract is an equilibrium if no best response gains more than this."""

UTILITY_TIE = 1e-6
"""An agent is indifferent between actions whose utilities are closer: payments are kept in single precision."""

CONTRADICTION = 1e-9
"""Incentive constraints are rounded sums: they hold although they contradict each other by no more than this."""

TRANSFER_TIE = 1e-9
"""Gains from defection that are closer than this are equal."""

WELFARE_TIE = 1e-6
"""Solutions whose welfare differs by no more than this share a row, and a smaller deviation gain is not reported."""

EPSILON_EQUILIBRIUM = 0.01
"""A policy is reported as an equilibrium if no deviation of a single agent gains more; else as approximate."""
