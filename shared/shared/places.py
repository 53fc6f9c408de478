"""Where in a request something stands, in the form that forms and clients use."""

import re
from collections.abc import Sequence

_PLAIN = re.compile("[A-Za-z0-9_-]{1,64}")
_UNNAMED = "?"


def dotted(place: Sequence[str | int]) -> str:
    """``days.0.windows.1.workEndLocal``. A name that the client made up is shown only if plain."""
    return ".".join(map(plain, place))


def plain(step: str | int) -> str:
    """The step itself, or ``?`` when it is nothing that a field of ours could be called."""
    text = str(step)
    return text if _PLAIN.fullmatch(text) else _UNNAMED


def pointer(path: str) -> str:
    """The JSON Pointer (RFC 6901) of a dotted path; plain names need no escapes."""
    return "".join(f"/{step}" for step in path.split(".")) if path else ""
