"""Runs made, kept, found again and scheduled."""
