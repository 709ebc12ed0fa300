"""Suites of benchmarks/solvers.py: a file each, with a function that returns rows of figures."""
