"""`python -m paymaster` is `paymaster`."""

from .benchmarks.cli import main

main()
