"""What an implementation must have to answer a vector; a checker can leave vectors out by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PLAIN: dict[str, Any] = {
    "stride": [1, 1],
    "dilation": [1, 1],
    "padding": [[0, 0], [0, 0]],
    "groups": 1,
}


def _of_operator(op: str, attributes: Mapping[str, Any]) -> set[str]:
    found = {op}
    for name, plain in _PLAIN.items():
        if op == "Conv" and attributes.get(name, plain) != plain:
            found.add(f"{op}.{name}")
    if op in ("MaxPool", "SumPool") and attributes.get("padding") != _PLAIN["padding"]:
        found.add(f"{op}.padding")
    if isinstance(attributes.get("rounding"), str):
        found.add(f"rounding.{attributes['rounding']}")
    return found


def capabilities(
    op: str, attributes: Mapping[str, Any], error: str | None
) -> tuple[str, ...]:
    """Names such as ``Conv``, ``Conv.groups``, ``rounding.half_up``, ``refuse``; sorted."""
    found = _of_operator(op, attributes)
    for node in attributes.get("nodes", ()):
        found |= _of_operator(node["op"], node["attributes"])
    if isinstance(attributes.get("op"), str):
        found |= _of_operator(attributes["op"], attributes["attributes"])
    if error is not None:
        found.add("refuse")
    return tuple(sorted(found))
