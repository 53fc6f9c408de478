"""The OpenAPI document of a service: FastAPI's, with our problems in place of its 422."""

import re
from typing import Any

from pydantic.alias_generators import to_camel

from shared import errors
from shared.auth import InvalidToken, Unauthenticated
from shared.edge import InvalidUrl
from shared.errors import DomainError
from shared.json_body import BodyTooLarge, InvalidJson, UnsupportedBody
from shared.problems import InternalError, Problem, document

_REFERENCES = "#/components/schemas/{model}"
_OF_FASTAPI = ("HTTPValidationError", "ValidationError")
_PARAMETER = re.compile(r"(?<=\{)\w+(?=\})")
_METHODS = ("get", "put", "post", "delete", "patch")

_OF_EVERY_ROUTE = (InvalidUrl, errors.Invalid, errors.Unavailable, InternalError)
_OF_CALLERS = (Unauthenticated, InvalidToken, errors.Forbidden)
_OF_BODIES = (InvalidJson, BodyTooLarge, UnsupportedBody)


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Tells of every operation what any operation of its kind may refuse; changes ``document``."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _OF_FASTAPI:
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template=_REFERENCES)
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                _complete_operation(operations[method], has_parameters="{" in path)
    document["paths"] = {
        _PARAMETER.sub(lambda found: to_camel(found[0]), path): operations
        for path, operations in document["paths"].items()
    }
    return document


def _complete_operation(operation: dict[str, Any], *, has_parameters: bool) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["name"] = to_camel(parameter["name"])
    responses: dict[str, Any] = operation["responses"]
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]
    refusals: list[type[DomainError]] = [*_OF_EVERY_ROUTE]
    if has_parameters:
        refusals.append(errors.NotFound)
    if "security" in operation:
        refusals += _OF_CALLERS
    if "requestBody" in operation:
        refusals += _OF_BODIES
    for refusal in refusals:
        document(refusal, responses)
    operation["responses"] = dict(
        sorted(
            responses.items(),
        )
    )
