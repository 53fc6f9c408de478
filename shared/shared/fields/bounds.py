"""A route whose input has no bounds does not start.

Unbounded text, numbers and lists are how odd input becomes a 500, and pydantic's own dates, UUIDs
and booleans take more than one would think. So the types of ``shared.fields`` are the only way in,
and an answer writes its instants in one format.
"""

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

_HARMLESS = {
    "default",
    "definition-ref",
    "definitions",
    "enum",
    "function-after",
    "function-before",
    "function-plain",
    "function-wrap",
    "lax-or-strict",
    "literal",
    "model-field",
    "model-fields",
    "none",
    "nullable",
    "tagged-union",
    "union",
}
_MANY = {"dict", "frozenset", "list", "set"}
_UNSTABLE = {"datetime", "time"}
_NOT_SCHEMA = {"computed_fields", "config", "default", "function", "metadata", "serialization"}


class UnboundedInput(TypeError):
    """A mistake in a route, found when the route is made."""


def check_parameter(field: FieldInfo, name: str) -> None:
    """Raises ``UnboundedInput`` unless the path, query or header parameter has bounds."""
    for part in _parts(field, name):
        if fault := "" if part.kind == "model" else _fault(part):
            raise UnboundedInput(f"{part.path} {fault}")


def check_body(field: FieldInfo, name: str) -> None:
    """Raises ``UnboundedInput`` unless the body and all in it have bounds and extend ``Body``."""
    for part in _parts(field, name):
        if fault := _fault(part):
            raise UnboundedInput(f"{part.path} {fault}")


def check_answer(field: FieldInfo, name: str) -> None:
    """Raises ``TypeError`` when a ``datetime`` or ``time`` would not be written our way."""
    for part in _parts(field, name):
        if part.kind in _UNSTABLE and "serialization" not in part.schema:
            raise TypeError(f"{part.path} is a {part.kind}: use Instant or LocalTime")


class _Part(NamedTuple):
    path: str
    schema: dict[str, Any]
    strict: bool

    @property
    def kind(self) -> str:
        return str(self.schema["type"])


def _fault(part: _Part) -> str:
    kind, schema = part.kind, part.schema
    if kind in _HARMLESS:
        return ""
    if kind == "str" or kind in _MANY:
        return "" if schema.get("max_length") else f"is a {kind} without a greatest length"
    if kind == "int":
        bounded = {"ge", "gt"} & schema.keys() and {"le", "lt"} & schema.keys()
        return "" if bounded and part.strict else "is an int that is not a Whole"
    if kind == "bool":
        return "" if part.strict else "is a bool that is not a Flag"
    if kind == "model":
        return "" if part.strict else "does not extend Body"
    return f"is a {kind}, which is no type of shared.fields"


def _parts(field: FieldInfo, name: str) -> Iterator[_Part]:
    kind: Any = field.annotation
    if field.metadata:
        kind = Annotated[(kind, *field.metadata)]
    return _walk(TypeAdapter(kind).core_schema, name, strict=False)


def _walk(schema: Any, path: str, *, strict: bool) -> Iterator[_Part]:
    if isinstance(schema, list | tuple):
        for each in schema:
            yield from _walk(each, path, strict=strict)
    elif isinstance(schema, dict):
        if schema.get("type") == "model":
            strict = schema.get("config", {}).get("strict", False)
        if isinstance(schema.get("type"), str):
            yield _Part(path, schema, schema.get("strict", strict))
        for key, inner in schema.items():
            if key == "fields":
                for field, its_schema in inner.items():
                    yield from _walk(its_schema, f"{path}.{field}", strict=strict)
            elif key not in _NOT_SCHEMA:
                yield from _walk(inner, path, strict=strict)
