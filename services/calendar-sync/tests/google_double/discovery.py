"""Google's own description of its API, as it comes with the official client."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient


@cache
def document() -> dict[str, Any]:
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    found: dict[str, Any] = json.loads((folder / "calendar.v3.json").read_text())
    return found


def method(name: str) -> dict[str, Any]:
    """``events.list``: its path, parameters and scopes."""
    resource, _, verb = name.partition(".")
    found: dict[str, Any] = document()["resources"][resource]["methods"][verb]
    return found


def parameters(name: str) -> set[str]:
    return set(method(name).get("parameters", {})) | set(document()["parameters"])


def strangers(schema: str, value: Any, path: str = "") -> list[str]:
    """Where ``value`` is not what the schema of that name allows."""
    return _strangers(document()["schemas"][schema], value, path or schema)


def _strangers(schema: dict[str, Any], value: Any, path: str) -> list[str]:
    if "$ref" in schema:
        return strangers(schema["$ref"], value, path)
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "boolean": bool,
        "integer": int,
        "array": list,
        "object": dict,
        "number": (int, float),
        "any": object,
    }
    if not isinstance(value, kinds[schema["type"]]):
        return [f"{path} is no {schema['type']}"]
    if isinstance(value, list):
        pairs = [(schema["items"], each, f"{path}[]") for each in value]
    elif isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties")
        unknown = [f"{path}.{key} is unknown" for key in value if key not in known and not other]
        if unknown:
            return unknown
        pairs = [(known.get(key, other), each, f"{path}.{key}") for key, each in value.items()]
    else:
        return []
    return [wrong for pair in pairs for wrong in _strangers(*pair)]


def only(fields: str, value: Any) -> Any:
    """A partial response: ``items(id,start),nextPageToken``, ``a/b``."""
    tree, rest = _parsed(fields)
    assert not rest, fields
    return _picked(tree, value)


def _parsed(text: str) -> tuple[dict[str, Any], str]:
    tree: dict[str, Any] = {}
    while text and text[0] != ")":
        length = next((at for at, each in enumerate(text) if each in ",()/"), len(text))
        name, text = text[:length], text[length:]
        below: dict[str, Any] = {}
        if text.startswith("("):
            below, text = _parsed(text[1:])
            text = text.removeprefix(")")
        elif text.startswith("/"):
            length = next((at for at, each in enumerate(text) if each in ",)"), len(text))
            below, _ = _parsed(text[1:length])
            text = text[length:]
        tree[name] = below
        text = text.removeprefix(",")
    return tree, text


def _picked(tree: dict[str, Any], value: Any) -> Any:
    if isinstance(value, list):
        return [_picked(tree, each) for each in value]
    if not tree or not isinstance(value, dict):
        return value
    return {
        key: _picked(tree.get(key, {}), each)
        for key, each in value.items()
        if key in tree or "*" in tree
    }
