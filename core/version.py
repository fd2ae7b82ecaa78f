"""The version of the package, read by setup.cfg without importing the rest."""

VERSION = "0.1.0"
