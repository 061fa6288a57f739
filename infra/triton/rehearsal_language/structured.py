"""Guided decoding: an answer that fits a JSON schema, as an engine gives whose tokens a grammar restricts.

Knows objects, arrays, numbers, strings, booleans, enumerations, choices and references within the schema; what it does not know it refuses, as engines do.
"""

import json
import math
from typing import Any

from infra.triton.rehearsal_language.answers import write_sentence
from infra.triton.rehearsal_language.draw import Draw

_DEEPEST = 24
_UNKNOWN = ("pattern", "allOf", "not", "if", "patternProperties", "multipleOf")


def write_structured(schema: str, question: str, draw: Draw) -> str:
    """Write JSON that fits the schema. Raises ValueError for a schema that is no JSON or says what is not known here."""
    parsed = json.loads(schema)
    return json.dumps(_Writer(parsed, question, draw).write(parsed, 0), ensure_ascii=False)


class _Writer:
    def __init__(self, root: Any, question: str, draw: Draw) -> None:
        self._root = root
        self._question = question
        self._draw = draw

    def write(self, schema: Any, depth: int) -> Any:
        """Write a value for a part of the schema."""
        if not isinstance(schema, dict) or depth > _DEEPEST:
            raise ValueError(f"can't follow this JSON schema: {str(schema)[:80]}")
        unknown = [key for key in _UNKNOWN if key in schema]
        if unknown:
            raise ValueError(f"JSON schema: {unknown[0]} is not known here")
        if "$ref" in schema:
            return self.write(self._resolve(schema["$ref"]), depth + 1)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if choices:
            return self._draw.pick(choices)
        options = schema.get("anyOf") or schema.get("oneOf")
        return self.write(self._draw.pick(options), depth + 1) if options else self._write_typed(schema, depth)

    def _write_typed(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        match self._draw.pick(kind) if isinstance(kind, list) else kind:
            case "object":
                return {name: self.write(part, depth + 1) for name, part in schema.get("properties", {}).items()}
            case "array":
                least = schema.get("minItems", 1)
                count = self._draw.number(least, min(schema.get("maxItems", least + 2), least + 2))
                return [self.write(schema.get("items", {}), depth + 1) for _ in range(count)]
            case "integer":
                return self._draw.number(*_bounds(schema))
            case "number":
                low, high = _bounds(schema)
                return max(low, min(high, round(self._draw.number(10 * low, 10 * high) / 10, 1)))
            case "boolean":
                return self._draw.chance(0.5)
            case "null":
                return None
            case "string":
                return self._write_string(schema)
        raise ValueError(f"JSON schema: the type {kind!r} is not known here")

    def _write_string(self, schema: dict[str, Any]) -> str:
        text = write_sentence(self._question, self._draw)
        while len(text) < schema.get("minLength", 0):
            text += " " + write_sentence(self._question, self._draw)
        return text[: schema.get("maxLength", len(text))]

    def _resolve(self, reference: str) -> Any:
        part = self._root
        for name in reference.removeprefix("#/").split("/"):
            if not isinstance(part, dict) or name not in part:
                raise ValueError(f"JSON schema: {reference} leads nowhere")
            part = part[name]
        return part


def _bounds(schema: dict[str, Any]) -> tuple[int, int]:
    low = math.ceil(schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1))
    return low, math.floor(schema.get("maximum", schema.get("exclusiveMaximum", low + 11) - 1))
