"""Harvest: what a user reads (`game`) and its compiled rules (`kernels`)."""
