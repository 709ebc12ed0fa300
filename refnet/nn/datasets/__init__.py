"""Readers of image files: each gives the four arrays of a data set, checked, and nothing else."""
