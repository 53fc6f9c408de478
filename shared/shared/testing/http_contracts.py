"""Whether clients of a released HTTP API can go on as they are.

What a client sends must still be taken, and what it reads must still be there. Answers may get new
fields, codes and values, and requests new optional fields: clients are told to expect that.
"""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_METHODS = ("get", "put", "post", "delete", "patch")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_NULL = {"type": "null"}


def breaking_changes(released: Json, current: Json) -> list[str]:
    """What of the released OpenAPI document no longer holds; empty is right."""
    return list(_Comparison(released, current).differences())


class _Comparison:
    def __init__(self, released: Json, current: Json) -> None:
        self._released = released
        self._current = current
        self._seen: set[tuple[str, str, bool]] = set()

    def differences(self) -> Iterator[str]:
        for path, operations in self._released["paths"].items():
            for method in _METHODS:
                if method not in operations:
                    continue
                place = f"{method.upper()} {path}"
                now = self._current["paths"].get(path, {}).get(method)
                if now is None:
                    yield f"{place} is gone"
                else:
                    yield from self._of_operation(place, operations[method], now)

    def _of_operation(self, place: str, then: Json, now: Json) -> Iterator[str]:
        if then["operationId"] != now["operationId"]:
            yield f"{place} is called {now['operationId']}, generated clients call it otherwise"
        if not _ways_in(then) <= _ways_in(now):
            yield f"{place} asks for other credentials"
        yield from self._of_parameters(place, then, now)
        yield from self._of_body(f"{place} body", then.get("requestBody"), now.get("requestBody"))
        for status, old in then["responses"].items():
            if status.startswith(("2", "3")):
                new = now["responses"].get(status)
                if new is None:
                    yield f"{place} answers {status} no more"
                else:
                    yield from self._of_content(f"{place} {status}", old, new, asked=False)

    def _of_parameters(self, place: str, then: Json, now: Json) -> Iterator[str]:
        old, new = _parameters(then), _parameters(now)
        for key in old.keys() - new.keys():
            yield f"{place} takes no {' '.join(key)} any more"
        for key, parameter in new.items():
            name = f"{place} {' '.join(key)}"
            if parameter.get("required") and not old.get(key, {}).get("required"):
                yield f"{name} is newly required"
            if key in old:
                yield from self._of_schema(
                    name, old[key]["schema"], parameter["schema"], asked=True
                )

    def _of_body(self, place: str, then: Json | None, now: Json | None) -> Iterator[str]:
        if now is None:
            if then is not None:
                yield f"{place} is gone"
            return
        if now.get("required") and not (then or {}).get("required"):
            yield f"{place} is newly required"
        if then is not None:
            yield from self._of_content(place, then, now, asked=True)

    def _of_content(self, place: str, then: Json, now: Json, *, asked: bool) -> Iterator[str]:
        then, now = _resolved(then, self._released), _resolved(now, self._current)
        for kind, content in then.get("content", {}).items():
            if kind not in now.get("content", {}):
                yield f"{place} is no {kind} any more"
            else:
                yield from self._of_schema(
                    place,
                    content.get("schema", {}),
                    now["content"][kind].get("schema", {}),
                    asked=asked,
                )

    def _of_schema(self, place: str, then: Json, now: Json, *, asked: bool) -> Iterator[str]:
        """``asked`` is what a client sends, which must not get narrower; else what it reads."""
        if "$ref" in then and "$ref" in now:
            key = (then["$ref"], now["$ref"], asked)
            if key in self._seen:
                return
            self._seen.add(key)
        then, now = _resolved(then, self._released), _resolved(now, self._current)
        old, new = _choices(then), _choices(now)
        stricter, looser = (new, old) if asked else (old, new)
        if _NULL in looser and _NULL not in stricter:
            yield f"{place} may {'not' if asked else 'now'} be null"
        old, new = ([each for each in some if each != _NULL] for some in (old, new))
        if len(old) != len(new):
            if (len(new) < len(old)) == asked:
                yield f"{place} changed its alternatives"
            return
        for before, after in zip(old, new, strict=True):
            if before is then and after is now:
                yield from self._of_plain(place, before, after, asked=asked)
            else:
                yield from self._of_schema(place, before, after, asked=asked)

    def _of_plain(self, place: str, then: Json, now: Json, *, asked: bool) -> Iterator[str]:
        for word in ("type", "format", "contentEncoding"):
            if then.get(word) != now.get(word):
                yield f"{place} changed its {word}"
        old, new = _values(then), _values(now)
        if new is not None and ((old is None and asked) or (old or set()) - new):
            yield f"{place} takes fewer values"
        if asked:
            yield from _tighter(place, then, now)
        yield from self._of_fields(place, then, now, asked=asked)
        for inner in ("items", "additionalProperties"):
            if isinstance(then.get(inner), dict) and isinstance(now.get(inner), dict):
                yield from self._of_schema(f"{place}[]", then[inner], now[inner], asked=asked)

    def _of_fields(self, place: str, then: Json, now: Json, *, asked: bool) -> Iterator[str]:
        old, new = then.get("properties", {}), now.get("properties", {})
        for name, field in old.items():
            if name not in new:
                yield f"{place}.{name} is gone"
            else:
                yield from self._of_schema(f"{place}.{name}", field, new[name], asked=asked)
        required = set(then.get("required", ())), set(now.get("required", ()))
        if asked:
            for name in sorted(required[1] - required[0]):
                yield f"{place}.{name} is newly required"
        else:
            for name in sorted((required[0] - required[1]) & new.keys()):
                yield f"{place}.{name} may now be missing"


def _resolved(value: Json, document: Json) -> Json:
    while "$ref" in value:
        target: Any = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        value = target
    return value


def _choices(schema: Json) -> list[Json]:
    choices: list[Json] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return choices


def _values(schema: Json) -> set[str] | None:
    if "const" in schema:
        return {repr(schema["const"])}
    return {repr(each) for each in schema["enum"]} if "enum" in schema else None


def _tighter(place: str, then: Json, now: Json) -> Iterator[str]:
    for word in (*_MOST, *_LEAST):
        if word in now:
            grown = word not in then or (
                now[word] < then[word] if word in _MOST else now[word] > then[word]
            )
            if grown:
                yield f"{place} has a tighter {word}"
    if "pattern" in now and now["pattern"] != then.get("pattern"):
        yield f"{place} changed its pattern"


def _parameters(operation: Json) -> dict[tuple[str, str], Json]:
    return {(each["in"], each["name"]): each for each in operation.get("parameters", ())}


def _ways_in(operation: Json) -> set[frozenset[str]]:
    return {frozenset(way) for way in operation.get("security", [{}])}
