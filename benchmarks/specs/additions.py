"""`--add MECHANISM[/ALGORITHM]`: runs that a user puts beside those of a suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...baselines import mechanism_class
from ...core.config import UsageError
from ...envs import make
from ...learning import algorithm_class, principal_class
from .compatibility import why_not
from .suites import Entry, Suite, extended


def added(suite: Suite, names: Iterable[str]) -> Suite:
    """The suite with a run more for each name, `MECHANISM` or `MECHANISM/ALGORITHM`.

    Without an algorithm it is the one that most of the suite's runs have. Raises UsageError for an unknown mechanism or
    algorithm, a mechanism that is not for the suite's game, and a run that the suite has already.
    """
    for name in names:
        try:
            suite = extended(suite, [_entry(suite, name)])
        except UsageError as error:
            raise UsageError(f"--add {name}: {error}") from None
    return suite


def _entry(suite: Suite, name: str) -> Entry:
    mechanism, _, named = name.partition("/")
    role = principal_class(mechanism_class(mechanism))
    algorithm = named or Counter(entry.algorithm for entry in suite.runs).most_common(1)[0][0]
    algorithm_class(algorithm)
    for rules in suite.variations:
        if reason := why_not(mechanism, make(suite.game, **{**suite.rules, **rules})):
            raise UsageError(f"{mechanism} is not for {suite.game}: {reason}")
    similar = [entry for entry in suite.runs if entry.mechanism == mechanism]
    same = [entry.name for entry in similar if entry.algorithm == algorithm]
    if same:
        raise UsageError(
            f"the suite runs {mechanism} with {algorithm} already, as {', '.join(same)}; other parameters and settings "
            "are for a file of your own that `extends` the suite"
        )
    if not similar:
        return Entry(mechanism=mechanism, algorithm=algorithm)
    first = similar[0]  # the same contract and the same principal, met by other agents
    taken = first.principal_from or (first.name if role is not None and role.learns else "")
    promised = {} if taken and not first.principal_from else first.principal
    return Entry(
        mechanism=mechanism, parameters=first.parameters, algorithm=algorithm, principal=promised, principal_from=taken
    )
