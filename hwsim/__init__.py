"""Cycle-approximate simulator of systolic-array and bit-serial accelerators."""
