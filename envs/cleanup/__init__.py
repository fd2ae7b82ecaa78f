"""Cleanup: on a map (`game`), in a few numbers (`features`), and the compiled rules of both (`kernels`)."""
