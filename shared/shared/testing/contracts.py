"""Whether events can still be read by yesterday's consumers, and yesterday's events by today's.

Old and new code run together, and events of long ago are sent again to rebuild a read model. So a
released field never changes, neither to more nor to less; optional fields may be added.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_WORDS_ONLY = frozenset({"title", "description", "examples"})
_MISSING = object()


def breaking_changes(released: Schema, current: Schema) -> list[str]:
    """What breaks a promise of the released AsyncAPI document; empty is right."""
    then, now = _messages(released), _messages(current)
    broken = [f"{name} is gone" for name in sorted(then.keys() - now.keys())]
    for name in sorted(then.keys() & now.keys()):
        broken += _differences(name, then[name], now[name])
    return broken


def _messages(document: Schema) -> Schema:
    """By event type: where it is published and what it is, with all references filled in."""
    return {
        name: {
            "channel": _filled(document["channels"][name]["bindings"], document),
            "contentType": message["contentType"],
            "payload": _filled(message["payload"], document),
        }
        for name, message in document["components"]["messages"].items()
    }


def _filled(schema: Any, document: Schema) -> Any:
    if isinstance(schema, list):
        return [_filled(each, document) for each in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        return _filled(target, document)
    return {key: _filled(value, document) for key, value in schema.items()}


def _differences(place: str, then: Any, now: Any) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        yield from _of_fields(place, then, now)
        for key in sorted((then.keys() | now.keys()) - {"properties", "required"} - _WORDS_ONLY):
            yield from _differences(
                f"{place} {key}", then.get(key, _MISSING), now.get(key, _MISSING)
            )
    elif _is_list_of_schemas(then) and _is_list_of_schemas(now) and len(then) == len(now):
        for old, new in zip(then, now, strict=True):
            yield from _differences(place, old, new)
    elif _unordered(then) != _unordered(now):
        yield f"{place} changed"


def _of_fields(place: str, then: Schema, now: Schema) -> Iterator[str]:
    old, new = then.get("properties", {}), now.get("properties", {})
    old_required, new_required = set(then.get("required", ())), set(now.get("required", ()))
    for name in sorted(old):
        if name not in new:
            yield f"{place}.{name} is gone"
            continue
        if (name in old_required) != (name in new_required):
            yield f"{place}.{name} changed between required and optional"
        yield from _differences(f"{place}.{name}", old[name], new[name])
    for name in sorted(new_required - old.keys()):
        yield f"{place}.{name} is new and required"


def _is_list_of_schemas(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _unordered(value: Any) -> Any:
    return sorted(value, key=repr) if isinstance(value, list) else value
