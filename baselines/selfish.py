"""No mechanism: nobody pays and nobody promises anything."""

from __future__ import annotations

from ..contracts.mechanism import Mechanism
from ..core.config import configuration


@configuration
class Selfish(Mechanism):
    """Agent `i` earns `r_i`, its reward from the environment. No money of any kind; the control of every comparison."""
