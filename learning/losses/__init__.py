"""The losses of Algorithms 2 and 3 of Ivanov et al. 2024, in pure torch."""
