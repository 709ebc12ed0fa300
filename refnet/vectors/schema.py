"""The JSON Schema of vector files. The reader is the authority; a test compares the two."""

from __future__ import annotations

from typing import Any

from refnet.vectors.flags import ERRORS, FLAGS
from refnet.vectors.record import (
    ARRAY_FIELDS,
    FILE_FIELDS,
    FORMAT_VERSION,
    RESULTS,
    TIERS,
    VECTOR_FIELDS,
)
from refnet.vectors.reference import OPS, TIER_OPS


def _object(properties: dict[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    """An object of which every property is required and no other is known."""
    return {
        "type": "object",
        "properties": {name: properties[name] for name in order},
        "required": list(order),
        "additionalProperties": False,
    }


_TEXT: dict[str, Any] = {"type": "string"}
_BITS: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT, "uniqueItems": True}
_ARRAYS: dict[str, Any] = {"type": "array", "items": {"$ref": "#/$defs/array"}}

_ARRAY = _object(
    {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.\\-]{0,99}$"},
        "type": _TEXT,
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "data": {"type": "array", "items": {"anyOf": [{"type": "integer"}, _BITS]}},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    ARRAY_FIELDS,
)
_VECTOR = _object(
    {
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*\\.[0-9]{4}$"},
        "tier": {"enum": list(TIERS)},
        "clauses": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+$"},
            "minItems": 1,
        },
        "op": {"enum": [*OPS, *TIER_OPS]},
        "attributes": {"type": "object"},
        "capabilities": _TEXTS,
        "inputs": _ARRAYS,
        "constants": _ARRAYS,
        "outputs": _ARRAYS,
        "intermediates": _ARRAYS,
        "result": {"enum": list(RESULTS)},
        "error": {"enum": [None, *ERRORS]},
        "flags": {**_TEXTS, "items": {"enum": list(FLAGS)}, "minItems": 1},
        "kills": _TEXTS,
        "comment": {"type": "string", "minLength": 20},
    },
    VECTOR_FIELDS,
)
_FLAG = _object({"meaning": _TEXT, "suggests": _TEXT}, ("meaning", "suggests"))

#: Draft 2020-12. ``attributes`` differ by op and are checked by whoever carries out the op.
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Golden vectors of refnet",
    **_object(
        {
            "format": {"const": FORMAT_VERSION},
            "generator": _TEXT,
            "subject": _TEXT,
            "flags": {"type": "object", "additionalProperties": {"$ref": "#/$defs/flag"}},
            "errors": {"type": "object", "additionalProperties": _TEXT},
            "vectors": {"type": "array", "items": {"$ref": "#/$defs/vector"}, "minItems": 1},
        },
        FILE_FIELDS,
    ),
    "$defs": {"array": _ARRAY, "vector": _VECTOR, "flag": _FLAG},
}
