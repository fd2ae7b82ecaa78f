"""The Coin Game: what a user reads (`game`), its compiled rules (`kernels`), its chance as a list (`outcomes`)."""
