"""Profiles of the property tests: reproducible, without deadlines, smaller when the JIT is off."""

import os

# As the command line does, and before NumPy is loaded: on matrices as small as those of the tests,
# BLAS threads mostly wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

settings.register_profile(
    "full", deadline=None, derandomize=True, max_examples=100, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("reduced", settings.get_profile("full"), max_examples=15)
NO_JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}
settings.load_profile("reduced" if NO_JIT else os.environ.get("HYPOTHESIS_PROFILE", "full"))
