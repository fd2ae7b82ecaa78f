"""Specs, suites, overrides and plugins: a run is read, checked and named before it is made."""
