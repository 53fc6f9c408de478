"""pydantic's complaints in our words: a path into the request, a stable code, a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic.alias_generators import to_camel

from shared.errors import FieldError
from shared.fields.parsed import OURS
from shared.places import dotted

MOST_ERRORS = 100

# pydantic's own messages may quote the input ("found `z` at 1"), so none of them is passed on.
# The values in braces come from the schema.
_WORDS = {
    "bool_parsing": ("NOT_A_BOOLEAN", "Must be true or false."),
    "bool_type": ("NOT_A_BOOLEAN", "Must be true or false."),
    "dict_type": ("NOT_AN_OBJECT", "Must be an object."),
    "enum": ("NOT_ALLOWED", "Must be one of: {expected}."),
    "extra_forbidden": ("UNKNOWN_FIELD", "There is no such field here."),
    "greater_than": ("TOO_SMALL", "Must be greater than {gt}."),
    "greater_than_equal": ("TOO_SMALL", "Must be at least {ge}."),
    "int_from_float": ("NOT_AN_INTEGER", "Must be a whole number."),
    "int_parsing": ("NOT_AN_INTEGER", "Must be a whole number."),
    "int_type": ("NOT_AN_INTEGER", "Must be a whole number."),
    "less_than": ("TOO_LARGE", "Must be less than {lt}."),
    "less_than_equal": ("TOO_LARGE", "Must be at most {le}."),
    "list_type": ("NOT_A_LIST", "Must be a list."),
    "literal_error": ("NOT_ALLOWED", "Must be one of: {expected}."),
    "missing": ("REQUIRED", "Is required."),
    "model_attributes_type": ("NOT_AN_OBJECT", "Must be an object."),
    "model_type": ("NOT_AN_OBJECT", "Must be an object."),
    "multiple_of": ("NOT_A_MULTIPLE", "Must be a multiple of {multiple_of}."),
    "string_pattern_mismatch": ("WRONG_FORMAT", "Has the wrong format."),
    "string_too_long": ("TOO_LONG", "Must have at most {max_length} characters."),
    "string_too_short": ("TOO_SHORT", "Must have at least {min_length} characters."),
    "string_type": ("NOT_TEXT", "Must be text."),
    "string_unicode": ("FORBIDDEN_CHARACTER", "Contains a character that cannot be stored."),
    "too_long": ("TOO_MANY", "Must have at most {max_length} entries."),
    "too_short": ("TOO_FEW", "Must have at least {min_length} entries."),
    "union_tag_invalid": ("NOT_ALLOWED", "Must be one of: {expected_tags}."),
    "union_tag_not_found": ("REQUIRED", "Lacks the field that tells which kind it is."),
}
_UNKNOWN = ("NOT_VALID", "Is not valid.")
_IN_BODY, _IN_PATH = "body", "path"


def field_errors(faults: Sequence[Mapping[str, Any]], body: Any) -> list[FieldError]:
    """One entry for each fault, and none of them repeats what the client sent.

    ``body`` is the parsed body; it tells the steps of a place from pydantic's labels of unions.
    """
    return [_field_error(fault, body) for fault in faults[:MOST_ERRORS]]


def _field_error(fault: Mapping[str, Any], body: Any) -> FieldError:
    source, *place = fault["loc"]
    kind = fault["type"]
    code, message = _WORDS.get(kind, _UNKNOWN)
    if kind.startswith(OURS):
        code, message = kind.removeprefix(OURS), fault["msg"]
    elif kind in _WORDS:
        message = message.format_map(fault.get("ctx", {}))
    if source == _IN_BODY:
        return FieldError(dotted(list(_steps(place, body))), code, message)
    name = dotted(place[:1])
    return FieldError(to_camel(name) if source == _IN_PATH else name, code, message, in_body=False)


def _steps(place: list[str | int], body: Any) -> Iterator[str | int]:
    """The place without the labels that pydantic puts in for the members of a union."""
    here = body
    for number, step in enumerate(place, start=1):
        if isinstance(here, dict):
            if step in here:
                here = here[step]
                yield step
            elif number == len(place):
                yield step  # the field that is missing
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
            yield step
