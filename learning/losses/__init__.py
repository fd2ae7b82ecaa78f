"""The losses of the paper's algorithms: pure torch, a screen each."""
