"""Checks that the records of the simulator share: integers that really are integers."""

from __future__ import annotations

import operator
from typing import Any


def whole(record: str, name: str, value: Any, least: int = 1) -> int:
    """``value`` as a Python int of at least ``least``; raises ``ValueError`` naming all three."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise ValueError(f"{record}: {name}={value!r}, rule an integer >= {least}")
    return number


def normalise(record: Any, what: str, names: str, least: int = 1) -> None:
    """Check the named integer fields of a frozen record and store them as Python ints."""
    for name in names.split():
        value = getattr(record, name)
        if type(value) is not int or value < least:
            object.__setattr__(record, name, whole(what, name, value, least))


def ceil_div(a: int, b: int) -> int:
    """The least integer that is not below a / b (b > 0)."""
    return -(-a // b)
