"""What holds for all tests: one thread of torch, as in every run, since two processes of tests share two cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch
