"""Suites of benchmarks/kernels.py: what is run, on which shapes, against whom."""
