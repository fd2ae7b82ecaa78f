"""Runs: making, recording, loading and scheduling them."""
