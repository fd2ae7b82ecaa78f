"""Baseline tables: published numbers, and our own reference runs with how each was made."""
